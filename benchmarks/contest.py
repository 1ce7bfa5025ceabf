"""Alternating time measurements of two implementations, and Markdown tables of the results."""

import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from typing import NamedTuple

import torch

from groupvit.processor import read

Run = Callable[[], object]
WARM_UP = 2
"""Warm-up runs of each side, which are not counted."""


class Contest(NamedTuple):
    """The same task, implemented by both sides."""

    name: str
    ours: Run
    theirs: Run


def seconds(run: Run) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_turn(runs: Sequence[Run], rounds: int) -> list[list[float]]:
    """Seconds of every run, alternating within each round, after a warm-up."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds + WARM_UP):
        for run, some in zip(runs, times, strict=True):
            some.append(seconds(run))
    return [some[WARM_UP:] for some in times]


def milliseconds(times: Sequence[float]) -> str:
    """Median and half the distance between the quartiles."""
    low, middle, high = statistics.quantiles([1000 * time for time in times], n=4)
    return f"{middle:.0f} ± {(high - low) / 2:.0f}"


def compare(contests: Iterable[Contest], rounds: int) -> list[list[str]]:
    """Row for each contest: name, our time, their time, and the ratio of theirs to ours."""
    rows = []
    for contest in contests:
        ours, theirs = in_turn((contest.ours, contest.theirs), rounds)
        ratio = statistics.median(theirs) / statistics.median(ours)
        rows.append([contest.name, milliseconds(ours), milliseconds(theirs), f"**{ratio:.1f}**"])
    return rows


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown table; a column `ratio` comes right behind the names, as only it carries over."""
    order = list(range(len(columns)))
    if "ratio" in columns:
        order.insert(1, order.pop(columns.index("ratio")))
    lines = [[line[place] for place in order] for line in (columns, ["---"] * len(columns), *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def environment() -> str:
    """Versions and hardware that the numbers depend on."""
    capability = torch.backends.cpu.get_cpu_capability()
    return (
        f"torch {torch.__version__}, transformers {version('transformers')}, "
        f"{torch.get_num_threads()} threads of {read()} with {capability}, matrix "
        f"products {peak(torch.float32) / 1e12:.2f} TFLOP/s in float32 and "
        f"{peak(torch.bfloat16) / 1e12:.2f} in bfloat16"
    )


def peak(dtype: torch.dtype, size: int = 2048) -> float:
    """Floating point operations per second of large matrix products, best of 8 runs [1/s]."""
    left, right = torch.randn(2, size, size).to(dtype)
    best = min(seconds(lambda: left @ right) for _ in range(8))
    return 2 * size**3 / best


def geometric_mean(values: Sequence[float]) -> float:
    """Geometric mean, for ratios."""
    return math.exp(statistics.mean(map(math.log, values)))
