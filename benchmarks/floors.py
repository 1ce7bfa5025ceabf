"""Floors of a benchmark without any model: oracles of a blind grid and of color and place.

    groupvit storybook --out data/patterned --num 2000 --test 500 --patterned
    python benchmarks/floors.py data/patterned/test --parts 8 24

Each part takes the class with the highest IoU; see `groupvit.evaluation.floors`. For a model,
`groupvit evaluate` measures the same with as many parts as groups are in use.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.progress import track

from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.floors import blind_grid, color_and_place
from groupvit.evaluation.oracle import oracle_table
from groupvit.evaluation.scores import overlap, scores_of
from groupvit.evaluation.verdict import COLOR_AND_PLACE, GRID


def floors(benchmark: Benchmark, counts: Sequence[int]) -> dict[tuple[str, int], float]:
    """Oracle mIoU [0, 1] by kind of parts and their number."""
    labels = tuple(benchmark.labels)
    tables = {
        (kind, num): np.zeros((len(labels),) * 2, np.int64)
        for kind in (GRID, COLOR_AND_PLACE)
        for num in counts
    }
    for index in track(range(len(benchmark)), "images"):
        sample = benchmark[index]
        size = sample.mask.shape
        for (kind, num), table in tables.items():
            parts = (
                blind_grid(size, num)
                if kind == GRID
                else color_and_place(sample.image, num, working_size=size)
            )
            table += oracle_table(overlap(sample.mask, parts, (len(labels), num)))
    return {key: scores_of(table, labels).miou for key, table in tables.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parts", type=int, nargs="+", default=[8])
    args = parser.parse_args()
    for (kind, num), miou in floors(read_folder(args.folder), args.parts).items():
        print(f"{kind}, {num} parts: {100 * miou:.1f}")
