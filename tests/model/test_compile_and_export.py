"""Each test runs its script in a process of its own, where no shapes are checked.

By day `tests/training/test_compiling.py` compiles both encoders, and `tests/exported` exports them.
The compiler's front end decides what can be compiled; its back end takes most of a minute on two
cores, so that aot_eager stands in for it.
"""

import os
import subprocess
import sys

import pytest

from groupvit.weights import checkpoint

BEGIN = """
import sys
from pathlib import Path
import torch
from torch.export import Dim, export
from torch.testing import assert_close
from torch.utils._pytree import tree_leaves
from groupvit.weights import checkpoint

model = checkpoint.load(Path(sys.argv[1])).model
generator = torch.Generator().manual_seed(0)

def images(batch, height=32, width=32):
    return torch.randn(batch, 3, height, width, generator=generator)

def texts(batch, length):
    tokens = torch.randint(1, 49000, (batch, length), generator=generator)
    tokens[:, length - 3] = 49407
    return tokens

def check_close(found, wanted):
    for one, other in zip(tree_leaves(found), tree_leaves(wanted), strict=True):
        assert_close(one, other, atol=1e-5, rtol=1e-5)
"""

COMPILE_IMAGE = """
with torch.no_grad():
    compiled = torch.compile(model.encode_image, fullgraph=True, backend="aot_eager")
    given = images(2, 37, 53)
    check_close(compiled(given), model.encode_image(given))
    assert torch._dynamo.explain(model.encode_image)(images(2)).graph_break_count == 0
"""

COMPILE_TEXT = """
with torch.no_grad():
    compiled = torch.compile(model.encode_text, fullgraph=True, backend="aot_eager")
    given = texts(3, 10)
    check_close(compiled(given), model.encode_text(given))
    assert torch._dynamo.explain(model.encode_text)(texts(3, 10)).graph_break_count == 0
"""

COMPILE_TRAINING = """
model.train()
compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
embeddings = compiled(images(4), texts(4, 12)[:, None])
(embeddings.image.image @ embeddings.text[:, 0].T).sum().backward()
unused = [name for name, p in model.named_parameters() if p.grad is None]
assert set(unused) <= {"log_scale", "multi_label_log_scale"}, unused
"""

EXPORT = """
class Part(torch.nn.Module):
    def __init__(self, name):
        super().__init__()
        self.model, self.name = model, name

    def forward(self, given):
        return getattr(self.model, self.name)(given)

batch, length = Dim("batch"), Dim("length", max=77)
cases = {
    "encode_image": (images(2), {0: batch}, images(5)),
    "encode_text": (texts(3, 10), {0: batch, 1: length}, texts(5, 21)),
    "embed_image": (images(2), {0: batch}, images(5)),
}
for name, (example, axes, other) in cases.items():
    exported = export(Part(name), (example,), dynamic_shapes=(axes,)).module()
    with torch.no_grad():
        for given in (example, other):
            check_close(exported(given), getattr(model, name)(given))
"""

pytestmark = [pytest.mark.slow, pytest.mark.nightly]


@pytest.fixture
def run(tiny_config, build, enliven, tmp_path):
    """Runs a script that is given a lively tiny model."""

    def run_script(script):
        model = enliven(build(tiny_config), std=0.1)
        checkpoint.save(tmp_path / "model", model, checkpoint.Origin(source="a test"))
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
        environment |= {"OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-W", "ignore", "-c", BEGIN + script, str(tmp_path / "model")]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr[-3000:]

    return run_script


def test_the_image_encoder_compiles_to_one_graph(run):
    run(COMPILE_IMAGE)


def test_the_text_encoder_compiles_to_one_graph(run):
    run(COMPILE_TEXT)


def test_a_training_step_compiles_to_one_graph(run):
    run(COMPILE_TRAINING)


def test_both_encoders_are_exported_for_any_batch(run):
    run(EXPORT)
