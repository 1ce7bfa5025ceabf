"""Encoders that OpenVINO compiles from a model in PyTorch, which is the default where it can.

In processes of their own, as most programs are.
"""

import os
import subprocess
import sys

import pytest
import torch

from groupvit.exported import compiling, runtimes
from groupvit.segmentation import loading
from groupvit.segmentation.segmenter import Segmenter

pytestmark = pytest.mark.slow

SAME = """
import logging, sys
import numpy as np, torch
from groupvit import cache
from groupvit.exported.compiling import CompiledNetwork
from groupvit.segmentation.segmenter import Segmenter

told = []
logging.getLogger("groupvit.exported.compiling").addHandler(
    type("Kept", (logging.Handler,), {"emit": lambda self, record: told.append(record)})()
)
name, labels = sys.argv[1], ["boat", "sea", "sky", "house", "cup", "table", "spoon"]
plain = Segmenter.load(name, runtime="torch")
for times in (1, 2):
    found = Segmenter.load(name)
    assert isinstance(found._network, CompiledNetwork), "it was not compiled"
    assert len(told) == 1, told  # the second time it is read
    assert len(list(cache.folder().glob("encoders-*.cache"))) == 1
    assert found.model is found.network
    several = 0
    for image in ("examples/harbour.png", "src/groupvit/photographs/coffee.jpg"):
        one, other = (x(image, labels).label_map for x in (found, plain))
        several += len(np.unique(other)) > 1
        assert (one == other).mean() > 0.9999, (one == other).mean()
    assert several, "every map has one label alone"
(kept,) = cache.folder().glob("encoders-*.cache")

# Weights that change afterwards count.
images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
with torch.no_grad():
    before = found._network.embed_image(images).image
    found.model.patch_projector[0].weight.mul_(torch.randn(()))
    found.model.patch_projector[0].weight[0] += 1
    after, wanted = found._network.embed_image(images).image, found.model.embed_image(images).image
assert torch.equal(after, wanted)
assert name != "photos" or not torch.allclose(before, after, atol=1e-3)

# A damaged file is replaced.
kept.write_bytes(b"damaged")
assert isinstance(Segmenter.load(name)._network, CompiledNetwork)
assert len(told) == 2
assert kept.stat().st_size > 1000
"""

CRASH = """
import ctypes, gc, subprocess, sys
from pathlib import Path
import numpy as np
import onnx
from onnx import TensorProto, helper
from torch.utils.data import DataLoader
from groupvit.exported.runtimes import openvino

class Stack(ctypes.Structure):
    _fields_ = [("place", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

def place():
    stack = Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    return stack.place

ends = [helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, 4]) for x in "xy"]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ends[:1], ends[1:])
file = Path(sys.argv[1]) / "graph.onnx"
opset = helper.make_opsetid("", 20)
onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), file)

for _ in DataLoader(range(4), num_workers=1): pass  # handles the signals of ended processes
first, second = openvino(file, "float32"), openvino(file, "float32")
assert first(np.float32([[-1, 0, 1, 2]]))[0].tolist() == [[0, 0, 1, 2]]
before = place()
del first
gc.collect()
del second
gc.collect()
assert place() == before, "the stack for signals has changed"
subprocess.run(["true"])
for _ in DataLoader(range(4), num_workers=1): pass
print("alive")
"""


def run(script, *arguments, kept):
    environment = {**os.environ, "GROUPVIT_CACHE": str(kept)}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        env=environment,
    )


@pytest.mark.parametrize("name", ["photos", "storybook"])
def test_labels_are_those_of_pytorch(name, tmp_path):
    done = run(SAME, name, kept=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.skipif(sys.platform != "linux", reason="alternate stacks for signals are of Linux")
def test_a_child_that_ends_after_openvino_ends_nothing_else(tmp_path):
    done = run(CRASH, str(tmp_path), kept=tmp_path)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr[-3000:]


def test_another_result_is_not_taken(monkeypatch, tmp_path):
    monkeypatch.setenv("GROUPVIT_CACHE", str(tmp_path))
    made = []

    def compile_(_model, _dtype):
        made.append(1)
        return None, compiling.Blobs(b"", b"")

    monkeypatch.setattr(compiling, "_compile", compile_)
    for _ in range(2):  # the second time the finding is read
        found = Segmenter.load("storybook")
        assert found._network is found.network
        assert len(made) == 1
    with pytest.raises(ValueError, match="does not compute the same"):
        Segmenter.load("storybook", runtime="openvino")


def test_errors_of_rounding_and_others_are_told_apart():
    module = torch.nn.Linear(8, 4)
    inputs = [torch.randn(3, 8)]

    def computing(factor):
        return lambda given: [module(torch.from_numpy(given)).numpy() * factor]

    assert compiling._is_same(module, computing(1 + 1e-6), inputs, "float32")
    assert not compiling._is_same(module, computing(1.001), inputs, "float32")
    assert not compiling._is_same(module, computing(float("nan")), inputs, "float32")
    assert compiling._is_same(module, computing(1.001), inputs, "bfloat16")
    assert not compiling._is_same(module, computing(1.1), inputs, "bfloat16")


@pytest.mark.parametrize("absent", ["openvino", "cache"])
def test_without_openvino_or_a_cache_pytorch_computes(absent, monkeypatch, tmp_path):
    monkeypatch.setenv("GROUPVIT_CACHE", "" if absent == "cache" else str(tmp_path))
    monkeypatch.setattr(loading, "has_openvino", lambda: absent != "openvino")
    monkeypatch.setattr(loading, "compiled", lambda *_, **__: pytest.fail("it compiles"))
    found = Segmenter.load("storybook")
    assert found._network is found.network


def test_groups_that_follow_rounded_cues_are_left_to_pytorch(monkeypatch, tmp_path):
    monkeypatch.setenv("GROUPVIT_CACHE", str(tmp_path))
    taken = []
    monkeypatch.setattr(
        loading, "compiled", lambda *_, dtype, forced: taken.append((dtype, forced))
    )
    Segmenter.load("photos", dtype="bfloat16")
    assert not taken
    Segmenter.load("photos", dtype="float32")
    Segmenter.load("storybook", dtype="bfloat16")
    assert taken == [("float32", False), ("bfloat16", False)]


def test_there_is_one_core():
    assert runtimes.core() is runtimes.core()
