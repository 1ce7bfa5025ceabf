"""A model behind a trunk is exported without its grouping, which is computed beside the graph.

In a process of its own, as OpenVINO is: see `tests/exported/test_openvino.py`. Nothing checks the
shapes there while the graph is traced.
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
from groupvit.exported import writing
from groupvit.exported.network import ExportedNetwork
from groupvit.model.inference import InferenceConfig
from groupvit.segmentation.segmenter import Segmenter
from groupvit.weights.checkpoint import LoadedModel, Origin
from tests.lively import street
from tests.trunks import trunk_model

folder, model = Path(sys.argv[1]) / "exported", trunk_model()
inference = InferenceConfig(naming="parts", other_sides=(48, 96))
writing.write(folder, LoadedModel(model, Origin(source="a test"), inference=inference))

for runtime in ("onnxruntime", "openvino"):
    network = ExportedNetwork(folder, runtime=runtime)
    assert network.patch_grid(72, 104) == (5, 7)
    for shape in ((1, 3, 64, 64), (2, 3, 72, 104), (1, 3, 41, 62), (1, 3, 24, 33)):
        images = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            wanted = model.embed_image(images)
        found = network.embed_image(images)
        assert_close(found.image, wanted.image, atol=1e-4, rtol=0)
        assert_close(found.patches, wanted.patches, atol=1e-4, rtol=0)
        for one, other in zip(found.assignments, wanted.assignments, strict=True):
            assert (one == other).all(dim=1).float().mean() > 0.98  # but for ties
        if all(map(torch.equal, found.assignments, wanted.assignments)):
            for one, other in zip(tree_leaves(found), tree_leaves(wanted), strict=True):
                assert_close(one, other, atol=1e-4, rtol=0)
        last = network.embed_image(images, num_stages=1)
        assert_close(last.segments, found.segments[-1:])
    question = street(90, 130), ["dog", "cat", "sky"]
    for protocol in ("ours", "tcl"):
        wanted = Segmenter(model, inference=inference, protocol=protocol)(*question)
        found = Segmenter.load(folder, runtime=runtime, protocol=protocol)(*question)
        assert (found.label_map == wanted.label_map).mean() > 0.99
        for stage in (0, 1):
            alike = found.groups.group_map(stage) == wanted.groups.group_map(stage)
            assert alike.mean() > 0.98
"""


def test_it_finds_what_pytorch_finds(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
