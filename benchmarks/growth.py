"""Growth of time and memory with image size, windows, labels, groups, batch size and ranks."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch

from benchmarks.contest import Run, in_turn, markdown
from benchmarks.learning import PAIRS, drawn_batch, our_step
from benchmarks.processes import cost
from benchmarks.segmenting import noise
from groupvit.data.batch import Batch
from groupvit.model.config import GroupViTConfig
from groupvit.model.groupvit import GroupViT
from groupvit.segmentation.protocol import OURS
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.prompts import imagenet_classes
from groupvit.weights import catalogue
from tests.ranks import ROOT, launch

ONE_RANK = Path(__file__).with_name("one_rank.py")
SIDES = (224, 448, 896, 1792)
WIDTHS = {1: 448, 2: 672, 4: 1120, 8: 2016}
"""Width of an image of height 448, by its number of windows."""
WORDS = (21, 171, 1000)
GROUPS = ((64, 8), (64, 16), (128, 32), (256, 64))
BATCHES = (8, 16, 32, 64)
IMAGE = """
import sys, torch
from groupvit.weights import catalogue
model = catalogue.load("random").model.eval()
with torch.inference_mode():
    model.embed_image(torch.zeros(1, 3, int(sys.argv[1]), int(sys.argv[1])))
"""
STEPS = """
import sys, torch
from benchmarks.learning import drawn_batch, our_step
from groupvit.weights import catalogue
chunk = int(sys.argv[2])
model, batch = catalogue.load("random").model, drawn_batch(int(sys.argv[1]))
step = our_step(model, batch, torch.bfloat16, chunk=chunk)
step(), step()
"""


def tables(rounds: int) -> Iterator[tuple[str, str]]:
    """Tables with their names."""
    model = catalogue.load("random").model
    yield "growth images", images(model)
    yield "growth windows", windows(model, rounds)
    yield "growth words", words(model, rounds)
    yield "growth groups", groups(rounds)
    yield "growth batch", batches(model)
    yield "growth ranks", ranks()


def images(model: GroupViT) -> str:
    """Whole images in float32; memory is the peak of a process that does nothing else."""
    rows, first = [], 0.0
    for side in SIDES:
        pixels = torch.zeros(1, 3, side, side)
        time = middle(lambda pixels=pixels: model.embed_image(pixels), 2)
        first = first or time
        memory = cost([sys.executable, "-c", IMAGE, str(side)]).memory
        tokens = (side // 16) ** 2
        rows.append([f"{side}", f"{tokens:,}", ms(time), f"{time / first:.1f}", gb(memory)])
    return markdown(("side [px]", "patches", "encoder [ms]", "relative", "peak memory"), rows)


def windows(model: GroupViT, rounds: int) -> str:
    """Windows of 448 with stride 224, 21 cached labels."""
    segmenter = Segmenter(model, protocol=replace(OURS, window=448, stride=224))
    labels = list(imagenet_classes()[:21])
    rows = []
    for count, width in WIDTHS.items():
        image = noise(448, width)
        time = middle(lambda image=image: segmenter(image, labels), rounds)
        rows.append([str(count), f"{width} x 448", ms(time), ms(time / count)])
    return markdown(("windows", "image", "to label map [ms]", "per window [ms]"), rows)


def words(model: GroupViT, rounds: int) -> str:
    """Cached labels, on an image of 640 x 480 that was encoded at 448."""
    segmenter = Segmenter(model)
    (grouped,) = segmenter.group([noise(480, 640)])
    rows = []
    for count in WORDS:
        labels = [f"{name} {number}" for number, name in enumerate(imagenet_classes()[:count])]
        time = middle(lambda labels=labels: segmenter.label(grouped, labels), rounds)
        rows.append([f"{count:,}", ms(time)])
    return markdown(("labels", "labeling of an encoded image [ms]"), rows)


def groups(rounds: int) -> str:
    """Numbers of groups at both stages, at 224 in float32."""
    rows = []
    usual = GroupViTConfig()
    for pair in GROUPS:
        stages = tuple(
            replace(stage, num_groups=count, num_group_tokens=count)
            for stage, count in zip(usual.image.stages, pair, strict=False)
        )
        image = replace(usual.image, stages=(*stages, usual.image.stages[-1]))
        model, pixels = GroupViT(replace(usual, image=image)).eval(), torch.zeros(1, 3, 224, 224)
        time = middle(lambda model=model, pixels=pixels: model.embed_image(pixels), rounds)
        rows.append([f"{pair[0]}, then {pair[1]}", ms(time)])
    return markdown(("groups", "encoder [ms]"), rows)


def batches(model: GroupViT) -> str:
    """Training steps in bfloat16, whole or in chunks of 16 by gradient caching."""
    rows = []
    everything = drawn_batch(BATCHES[-1])
    for count in BATCHES:
        for chunk in (0, 16) if count > 16 else (0,):
            part = Batch(*(tensor[:count] for tensor in everything[:4]), damaged=0)
            step = our_step(model, part, torch.bfloat16, chunk=chunk)
            time = median(in_turn((step,), 2)[0])
            command = [sys.executable, "-c", STEPS, str(count), str(chunk)]
            name = f"{count}" if not chunk else f"{count}, in chunks of {chunk}"
            rows.append([name, ms(time), f"{count / time:.1f}", gb(cost(command).memory)])
    return markdown(("pairs per step", "step [ms]", "pairs/s", "peak memory"), rows)


def ranks() -> str:
    """Training steps of 16 pairs on each of several processes, one core each, with gloo."""
    times, alone = [], {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    for count in (1, 2):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if count == 2:
                times.append(max(one.item() for one in launch(ONE_RANK, folder)))
            else:
                subprocess.run([sys.executable, ONE_RANK, folder], env=alone, check=True)
                times.append(torch.load(folder / "0.pt", weights_only=True).item())
    rows = [
        [str(count), ms(time), f"{PAIRS * count / time:.1f}", f"{times[0] / time:.0%}"]
        for count, time in enumerate(times, start=1)
    ]
    return markdown(("processes", "step [ms]", "pairs/s", "efficiency"), rows)


def middle(run: Run, rounds: int) -> float:
    """Median seconds."""
    with torch.inference_mode():
        return median(in_turn((run,), rounds)[0])


def ms(seconds: float) -> str:
    """Seconds as milliseconds."""
    return f"{1000 * seconds:.0f}" if seconds > 0.01 else f"{1000 * seconds:.1f}"


def gb(size: float) -> str:
    """Bytes as gigabytes."""
    return f"{size / 1e9:.2f} GB"
