"""Correctness, speed and memory on one GPU, in less than ten minutes.

    python -m benchmarks.gpu [--pairs 256] [--rounds 10]

Compares the GPU with the CPU first, and stops with exit code 1 where they differ by more than
rounding. Then it measures a training step at the released size, segmentation at 224 and 448 pixels,
and a step through NCCL with one rank. Tables are written into out/bench.
"""

import argparse
import copy
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from statistics import median

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from benchmarks.contest import Run, in_turn, markdown, milliseconds, seconds
from benchmarks.learning import CLIP, OPTIM, drawn_batch, operations
from benchmarks.page import publish
from groupvit.data.batch import Batch
from groupvit.distributed import Ranks
from groupvit.evaluation.runtimes import photographs
from groupvit.model.config import GroupViTConfig
from groupvit.model.groupvit import GroupViT
from groupvit.segmentation.preparation import normalize
from groupvit.segmentation.segmenter import Segmenter
from groupvit.training import optim
from groupvit.training.accelerators import ACCELERATORS
from groupvit.training.config import ObjectiveConfig
from groupvit.training.step import forward_backward, passes_of
from groupvit.weights import catalogue

LABELS = ["dog", "cat", "person", "rocket", "cup", "table", "grass", "sky"]
BATCHES, SIDES = (1, 8, 64), (224, 448)
LARGEST_ERROR = 1e-3
"""Largest difference of gradients from those of the CPU in float32, relative to their length."""
LEAST_AGREEMENT = 0.999
"""Least share of pixels with the same label."""


def main() -> int:
    """Run all parts; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=256, help="pairs of a training step")
    parser.add_argument("--rounds", type=int, default=10, help="repetitions of each measurement")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        sys.stderr.write("benchmarks.gpu needs a GPU that torch can use, and finds none here\n")
        return 2
    device = torch.device("cuda")
    # As on the CPU; measurements in float32 then are of float32.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    publish("gpu environment", environment(), docs=False)
    rows, is_correct = correctness(device)
    publish(
        "gpu correctness", markdown(("compared with the CPU", "found", "limit"), rows), docs=False
    )
    if not is_correct:
        sys.stderr.write("benchmarks.gpu: the GPU computes something else than the CPU\n")
        return 1
    for name, table in chain(
        training(device, given.pairs, given.rounds),
        segmenting(device, given.rounds),
        one_rank(device, given.pairs, given.rounds),
    ):
        publish(name, table, docs=False)
    return 0


def environment() -> str:
    """Versions and hardware that the numbers depend on."""
    return (
        f"torch {torch.__version__}, CUDA {torch.version.cuda}, {torch.cuda.get_device_name()}, "
        f"{torch.cuda.get_device_properties(0).total_memory / 1e9:.0f} GB, matrix products "
        f"{measured_peak(torch.device('cuda')) / 1e12:.0f} TFLOP/s in bfloat16"
    )


def correctness(device: torch.device) -> tuple[list[list[str]], bool]:
    """Label maps of photographs, and gradients of a step, on the device and on the CPU."""
    rows, alike = [], True
    for dtype, least in (("float32", LEAST_AGREEMENT), ("bfloat16", 0.0)):  # for information
        one, other = (
            Segmenter.load("photos", device=where, dtype=name, runtime="torch")
            for where, name in ((device, dtype), ("cpu", "float32"))
        )
        shares = [
            (one(path, LABELS).label_map == other(path, LABELS).label_map).mean()
            for path in photographs()
        ]
        share = float(np.mean(shares))
        alike &= share >= least
        limit = f"{least:.1%}" if least else "-"
        rows.append([f"same labels of photographs, {dtype}", f"{share:.3%}", limit])
    batch = drawn_batch(8)
    found, exact = (
        gradients(soft_model(), batch, where) for where in (device, torch.device("cpu"))
    )
    error = float((found - exact).norm() / exact.norm())
    alike &= error <= LARGEST_ERROR
    rows.append(
        ["error of the gradient of a step, float32", f"{error:.1e}", f"{LARGEST_ERROR:.0e}"]
    )
    return rows, alike


def soft_model() -> GroupViT:
    """The released size with soft grouping, always the same.

    With the hard grouping of untrained weights nearly all groups tie, and rounding decides.
    """
    config = GroupViTConfig()
    torch.manual_seed(0)
    return GroupViT(replace(config, image=replace(config.image, grouping="soft")))


def gradients(model: GroupViT, batch: Batch, device: torch.device) -> Tensor:
    """Gradient of all weights in one step in float32, without noise, on the CPU."""
    model = copy.deepcopy(model).eval().to(device)
    batch, ranks, config = batch.to(device), Ranks(device=device), ObjectiveConfig()
    passes = passes_of(model, ranks, config, chunk=0)
    forward_backward(passes, normalize(batch.images), batch, config, ranks, autocast=None)
    found = [x.grad.flatten().cpu() for x in model.parameters() if x.grad is not None]
    return torch.cat(found)


def step_of(
    model: GroupViT,
    batch: Batch,
    device: torch.device,
    *,
    autocast: torch.dtype | None = torch.bfloat16,
    compiled: bool = False,
    wrapped: bool = False,
) -> Run:
    """Step of `groupvit train` at the released size, without augmentation and reading.

    Args:
        model: It is copied.
        batch: Captions and prompts.
        device: Where it computes.
        autocast: Precision of the encoders; None: float32.
        compiled: Compile both encoders.
        wrapped: Average the gradient over the ranks of the process group.
    """
    model = copy.deepcopy(model).train().to(device)
    if compiled:
        model.image_encoder.compile()
        model.text_encoder.compile()
    optimizer = optim.optimizer_of(model, OPTIM)
    batch = batch.to(device)
    images, ranks, config = normalize(batch.images), Ranks(device=device), ObjectiveConfig()
    passes = passes_of(model, ranks, config, chunk=0)
    if wrapped:
        ids = [device] if device.type == "cuda" else None
        passes._wrapped = DistributedDataParallel(model, device_ids=ids)  # type: ignore[union-attr]

    def run() -> None:
        optimizer.zero_grad()
        forward_backward(passes, images, batch, config, ranks, autocast=autocast)
        optim.clip(model, CLIP)
        optimizer.step()
        wait(device)

    return run


def wait(device: torch.device) -> None:
    """Wait for all that the device was given to do."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def training(device: torch.device, pairs: int, rounds: int) -> Iterator[tuple[str, str]]:
    """Table of steps with a caption and three prompts for each image."""
    model, batch = catalogue.load("random").model, drawn_batch(pairs)
    peak = measured_peak(device)
    work = operations(step_of(model, batch, device))
    rows = []
    for name, autocast, compiled in (
        ("bfloat16", torch.bfloat16, False),
        ("bfloat16, compiled", torch.bfloat16, True),
        ("float32", None, False),
    ):
        step = step_of(model, batch, device, autocast=autocast, compiled=compiled)
        times, memory = timed(step, device, rounds)
        rate = work / median(times)
        sheet = data_sheet_peak(device)
        rows.append(
            [
                f"{name}, {pairs} pairs",
                milliseconds(times),
                f"{pairs / median(times):,.0f}",
                f"{rate / peak:.1%}",
                f"{rate / sheet:.1%}" if sheet else "-",
                f"{memory / 1e9:.1f} GB",
            ]
        )
        del step
    columns = (
        "training step",
        "[ms]",
        "images/s",
        "of measured bfloat16 peak",
        "of data sheet",
        "memory",
    )
    yield "gpu training", markdown(columns, rows)


def segmenting(device: torch.device, rounds: int) -> Iterator[tuple[str, str]]:
    """Table of images from uint8 pixels to label maps, at the released size and by `photos`."""
    rows = []
    for name in ("random", "photos"):
        for dtype in ("bfloat16", "float32"):
            for side in SIDES:
                for count in BATCHES:
                    segmenter = Segmenter.load(
                        name, device=device, dtype=dtype, protocol="quick", batch_size=count
                    )
                    cells = segmented(segmenter, side, rounds)
                    rows.append([f"{name}, {dtype}, {count} x {side} px", *cells])
    yield "gpu segmenting", markdown(("", "grouped/s", "to label maps/s", "memory"), rows)


def segmented(segmenter: Segmenter, side: int, rounds: int) -> list[str]:
    """Rates and memory of a whole batch of random square images."""
    count, device = segmenter.batch_size, segmenter.device
    generator = np.random.default_rng(0)
    images = list(generator.integers(0, 256, (count, side, side, 3), np.uint8))
    parsed, grouped = segmenter.parse(LABELS), segmenter.group(images)

    def encode() -> None:
        segmenter.group(images)
        wait(device)

    def label() -> None:
        for one in grouped:
            segmenter.label(one, parsed)

    encoding, memory = timed(encode, device, rounds)
    labeling, _ = timed(label, device, max(1, rounds // 3))
    return [
        f"{count / median(encoding):,.0f}",
        f"{count / (median(encoding) + median(labeling)):,.0f}",
        f"{memory / 1e9:.2f} GB",
    ]


def one_rank(device: torch.device, pairs: int, rounds: int) -> Iterator[tuple[str, str]]:
    """Table of a step whose gradient goes through the process group of one rank."""
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "29577")
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, rank=0, world_size=1)
    try:
        model, batch = catalogue.load("random").model, drawn_batch(pairs)
        alone, wrapped = (step_of(model, batch, device, wrapped=one) for one in (False, True))
        times = in_turn((alone, wrapped), rounds)
        names = "without a process group", f"{backend}, one rank"
        rows = [[name, milliseconds(some)] for name, some in zip(names, times, strict=True)]
    finally:
        dist.destroy_process_group()
    yield "gpu ranks", markdown((f"{pairs} pairs, bfloat16", "[ms]"), rows)


def timed(run: Run, device: torch.device, rounds: int) -> tuple[list[float], int]:
    """Seconds of some runs after a warm-up, and the largest memory that tensors took [bytes]."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    (times,) = in_turn((run,), max(2, rounds))
    return times, torch.cuda.max_memory_allocated() if device.type == "cuda" else 0


def measured_peak(device: torch.device, size: int = 8192) -> float:
    """Floating point operations per second of large products in bfloat16, best of 8 runs [1/s]."""
    left, right = torch.randn(2, size, size, device=device, dtype=torch.bfloat16)

    def product() -> None:
        torch.matmul(left, right)
        wait(device)

    return 2 * size**3 / min(seconds(product) for _ in range(8))


def data_sheet_peak(device: torch.device) -> float | None:
    """The same by the data sheet; None for a device that is not listed."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name().lower().replace(" ", "")
    found = [one for key, one in ACCELERATORS.items() if key in name]
    return max(found, key=lambda one: one.bfloat16).bfloat16 if found else None


if __name__ == "__main__":
    sys.exit(main())
