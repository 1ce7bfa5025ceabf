"""OpenVINO computes what PyTorch computes.

In a process of its own: after OpenVINO has computed in a process that has also started the workers
of a DataLoader, the end of any child process ended it with a segmentation fault (OpenVINO 2026.4,
torch 2.13, a processor with AMX).
"""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
from pathlib import Path
import torch
from torch.testing import assert_close
from torch.utils._pytree import tree_leaves
from groupvit.exported.network import ExportedNetwork
from groupvit.segmentation.segmenter import Segmenter

folder = Path(sys.argv[1])
plain = Segmenter.load("storybook")
network = ExportedNetwork(folder, runtime="openvino")
for shape in ((1, 3, 80, 80), (3, 3, 80, 80), (2, 3, 44, 120), (1, 3, 41, 62)):
    images = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted = plain.model.embed_image(images)
    found = network.embed_image(images)
    for one, other in zip(tree_leaves(found[:3]), tree_leaves(wanted[:3]), strict=True):
        assert_close(one, other, atol=1e-4, rtol=0)
    for one, other in zip(found.assignments, wanted.assignments, strict=True):
        assert_close(one, other, atol=1e-3, rtol=0)

from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as threads:
    for other in threads.map(network.embed_image, [images] * 32):
        assert_close(other.image, found.image, atol=1e-5, rtol=0)

question = "examples/harbour.png", ["boat", "sea", "sky", "house"]
wanted = plain(*question).label_map
for dtype, least in (("float32", 0.9999), ("bfloat16", 0.95)):
    found = Segmenter.load(folder, runtime="openvino", dtype=dtype)(*question).label_map
    alike = (found == wanted).mean()
    assert alike > least, (dtype, alike)
"""


def test_it_finds_what_pytorch_finds(folder):
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


def test_damage_is_told(folder, tmp_path):
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    (tmp_path / "image.onnx").write_bytes(b"no graph at all")
    command = [sys.executable, "-m", "groupvit", "segment", "examples/harbour.png"]
    options = ["--model", tmp_path, "--runtime", "openvino", "--labels", "sea"]
    done = subprocess.run(
        [*command, *options, "--out", tmp_path / "out"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 2
    assert "damaged or no ONNX file" in done.stderr
    assert "Traceback" not in done.stderr
