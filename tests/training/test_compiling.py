"""`compile = true` trains as without it.

In a process of its own, where no shapes are checked. The compiler's front end decides what can be
compiled, and is tried every day; what comes after it takes up to two minutes on two cores.
"""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from groupvit.training.trainer import train
from tests.training.runs import trace

pytestmark = pytest.mark.slow
nightly = pytest.mark.nightly

TRAIN = """
import sys
from pathlib import Path

import torch
import torch._inductor.config

from groupvit.config import load_toml
from groupvit.training.config import TrainingConfig
from groupvit.training.trainer import train

compiled = []
plain = torch.nn.Module.compile

def compile(module):
    compiled.append(type(module).__name__)
    plain(module, fullgraph=True, backend=sys.argv[2])

torch.nn.Module.compile = compile
torch._inductor.config.fallback_random = True  # the random numbers of a plain run
assert train(load_toml(TrainingConfig, Path(sys.argv[1]))) == 0
assert compiled == ["ImageEncoder", "TextEncoder"], compiled
"""


@pytest.mark.parametrize(
    "backend", ["eager", *(pytest.param(name, marks=nightly) for name in ("aot_eager", "inductor"))]
)
def test_a_compiled_run_learns_the_same(config, settings, tmp_path, backend):
    config = replace(config, steps=3)
    train(replace(config, out=str(tmp_path / "plain")))
    text = settings.read_text().replace("steps = 8", "steps = 3\ncompile = true", 1)
    settings.write_text(text)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TRAIN, settings, backend],
        env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for found, wanted in zip(trace(config.out), trace(tmp_path / "plain"), strict=True):
        assert found == pytest.approx(wanted, rel=1e-3)
