"""Predictions of `groupvit plan` versus measurements, and predictions for many devices."""

import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import torch

from benchmarks.contest import in_turn, markdown
from benchmarks.growth import STEPS, gb, ms
from benchmarks.learning import PLAIN, drawn_batch, our_step
from benchmarks.processes import cost
from groupvit.data.config import DataConfig
from groupvit.training import recipes
from groupvit.training.accelerators import ACCELERATORS, EFFICIENCY, LINK
from groupvit.training.config import TrainingConfig
from groupvit.training.planning import plan, seconds_here, work_of
from groupvit.weights import catalogue

SIZES = (16, 64)
DEVICE_COUNTS = (1, 8, 16, 64, 512)
EMPTY = "import torch, groupvit.training.state, benchmarks.learning"
PAPER = Path(__file__).parents[1] / "configs/paper.toml"


def tables(rounds: int) -> Iterator[tuple[str, str]]:
    """Both tables with their names."""
    rows = [row for size in SIZES for row in measured(size, rounds)]
    yield "plan measured", markdown(("a step in bfloat16", "planned", "measured"), rows)
    yield "plan devices", on_paper()


def measured(size: int, rounds: int) -> Iterator[list[str]]:
    """Rows of time and memory of a step at the released size, planned and measured."""
    data = DataConfig(batch_size=size, augmentation=PLAIN)
    config = TrainingConfig(data=data, precision="bfloat16")
    batch, model = drawn_batch(size), catalogue.load("random").model
    (times,) = in_turn((our_step(model, batch, torch.bfloat16),), rounds)
    yield [
        f"{size} pairs, time",
        f"{ms(seconds_here(config, batch))} ms",
        f"{ms(median(times))} ms",
    ]
    empty = cost([sys.executable, "-c", EMPTY]).memory
    whole = cost([sys.executable, "-c", STEPS, str(size), "0"]).memory
    planned = work_of(config, batch).memory(1)
    yield [f"{size} pairs, memory", gb(planned), f"{gb(whole - empty)} above an empty process"]


def on_paper() -> str:
    """Table of the paper's recipe on several numbers of devices, 256 pairs each."""
    config = recipes.load(PAPER).settings
    pairs = config.steps * config.data.batch_size * 16
    rows = []
    for count in DEVICE_COUNTS:
        found = plan(config, ACCELERATORS["h200"], devices=count, efficiency=EFFICIENCY, link=LINK)
        rows.append(
            [
                f"{count} x {config.data.batch_size}",
                f"{ms(found.step)} ms",
                f"{ms(found.exchange)} ms",
                f"{pairs / found.rate / 3600:.1f}",
                f"{found.work.embeddings * (count - 1) / 1e6:.0f} MB",
                f"{found.work.gradients / 1e6:.0f} MB",
                f"{found.rate:,.0f}/s",
            ]
        )
    columns = ("H200 x pairs", "step", "exchange", "hours", "embeddings", "gradients", "pairs")
    return markdown(columns, rows)
