"""Time of the image encoder with other backends: torch.compile, the same frozen, and OpenVINO.

OpenVINO is the default on a CPU (docs/speed.md).
"""

import time
import warnings
from collections.abc import Callable, Iterator
from statistics import median
from unittest.mock import patch

import openvino
import torch
from torch import Tensor, nn

from benchmarks.contest import Run, in_turn, markdown, milliseconds
from benchmarks.segmenting import DTYPES, mixed
from groupvit.exported.runtimes import core
from groupvit.model.groupvit import GroupViT
from groupvit.segmentation.segmenter import Segmenter
from groupvit.weights import catalogue

BATCHES = (1, 8)


class Outputs(nn.Module):
    """Image encoder that returns a tuple of tensors."""

    def __init__(self, model: GroupViT) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Image embedding, last segments and assignments, which a segmenter needs."""
        embedded = self.model.embed_image(images, num_stages=1)
        return embedded.image, embedded.segments[-1], *embedded.assignments


def tables(rounds: int) -> Iterator[tuple[str, str]]:
    """Table with a row for each precision and batch size."""
    model = catalogue.load("random").model.eval()
    exported = openvino_model(model)
    rows = []
    for dtype in DTYPES:
        segmenter = Segmenter(model, dtype=dtype)
        for count in BATCHES:
            pixels = torch.randn(count, 3, 224, 224)
            rows.append(row(segmenter, exported, pixels, rounds))
    columns = ("224 px", "torch [ms]", "compiled", "compiled, frozen", "its first run", "OpenVINO")
    yield "backends", markdown(columns, rows)


def row(segmenter: Segmenter, exported: openvino.Model, pixels: Tensor, rounds: int) -> list[str]:
    """Times of all backends in alternating runs, and of the first frozen run (compilation)."""
    network = segmenter._network
    lower = segmenter.dtype != torch.float32
    hint = {"INFERENCE_PRECISION_HINT": "bf16" if lower else "f32"}
    compiled = core().compile_model(exported, "CPU", hint | {"PERFORMANCE_HINT": "LATENCY"})
    array = pixels.numpy()
    plain = torch.compile(network.embed_image, dynamic=False)
    frozen = torch.compile(network.embed_image, dynamic=False)
    ways: list[Run] = [
        mixed(segmenter, lambda: network.embed_image(pixels)),
        mixed(segmenter, lambda: plain(pixels)),
        without_grad(segmenter, lambda: frozen(pixels)),
        lambda: compiled(array),
    ]
    ways[1]()
    start = time.perf_counter()
    with patch("torch._inductor.config.freezing", new=True):
        ways[2]()
    first = time.perf_counter() - start
    times = in_turn(ways, rounds)
    name = f"batch {len(pixels)}, {'bfloat16' if lower else 'float32'}"
    gains = [f"{milliseconds(some)}, **{median(times[0]) / median(some):.2f}**" for some in times]
    return [name, milliseconds(times[0]), gains[1], gains[2], f"{first:.0f} s", gains[3]]


def without_grad(segmenter: Segmenter, run: Callable[[], object]) -> Run:
    """Run under `no_grad`, because freezing does not work on inference tensors."""
    lower = segmenter.dtype != torch.float32

    def computing() -> object:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=lower):
            return run()

    return computing


def openvino_model(model: GroupViT) -> openvino.Model:
    """OpenVINO model of the encoder for any batch size at 224 pixels."""
    batch = torch.export.Dim("batch", min=2, max=64)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            Outputs(model).eval(), (torch.zeros(2, 3, 224, 224),), dynamic_shapes=({0: batch},)
        )
        return openvino.convert_model(program)
