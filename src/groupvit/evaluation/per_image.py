"""What one image adds to the scores: few numbers, kept for every image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64

from groupvit.evaluation.benchmarks.benchmark import Sample
from groupvit.evaluation.boundary_iou import border_overlap
from groupvit.evaluation.oracle import ious, oracle_table
from groupvit.evaluation.scores import overlap
from groupvit.segmentation.result import Segmentation

Cells = Int64[np.ndarray, "_ 3"]
"""The cells of a table that are not 0: row, column, value."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counts:
    """What was counted in one image."""

    index: int
    """Which image of the benchmark."""
    name: str
    """What reports call it."""
    confusion: Cells
    """Pixels by truth and prediction."""
    oracles: tuple[Cells, ...]
    """For each stage, pixels by truth and by what the oracle calls their group."""
    groups_used: tuple[int, ...]
    """For each stage, how many groups have pixels."""
    jaccard: tuple[tuple[float, ...], ...]
    """For each stage, of every class in the image (not the background) the IoU of that group
    which fits it best."""
    borders: Cells
    """Of every class (row) the pixels that its boundary regions share (column 0), and those of
    either (column 1)."""

    def to_values(self) -> dict[str, Any]:
        """Everything as values for JSON."""
        return {
            "index": self.index,
            "name": self.name,
            "confusion": self.confusion.tolist(),
            "oracles": [cells.tolist() for cells in self.oracles],
            "groups_used": list(self.groups_used),
            "jaccard": [list(values) for values in self.jaccard],
            "borders": self.borders.tolist(),
        }

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> "Counts":
        """What `to_values` gave."""
        return cls(
            index=values["index"],
            name=values["name"],
            confusion=_cells(values["confusion"]),
            oracles=tuple(map(_cells, values["oracles"])),
            groups_used=tuple(values["groups_used"]),
            jaccard=tuple(map(tuple, values["jaccard"])),
            borders=_cells(values["borders"]),
        )


def count(
    index: int, sample: Sample, result: Segmentation, *, num_labels: int, has_background: bool
) -> Counts:
    """Compare a segmentation, and its groups, with the truth.

    Args:
        index: Which image of the benchmark.
        sample: The image and its truth.
        result: What a model made of it.
        num_labels: How many classes there are, the background among them.
        has_background: Whether class 0 is the background.
    """
    size = (num_labels, num_labels)
    oracles, used, jaccard = [], [], []
    for stage in range(result.groups.num_stages):
        numbers, compact = np.unique(result.group_map(stage), return_inverse=True)
        shared = overlap(sample.mask, compact, (num_labels, len(numbers)))
        things = np.flatnonzero(shared.sum(axis=1)[has_background:]) + has_background
        oracles.append(sparse(oracle_table(shared)))
        used.append(len(numbers))
        jaccard.append(tuple(ious(shared)[things].max(axis=1).tolist()))
    return Counts(
        index=index,
        name=sample.name,
        confusion=sparse(overlap(sample.mask, result.label_map, size)),
        oracles=tuple(oracles),
        groups_used=tuple(used),
        jaccard=tuple(jaccard),
        borders=sparse(border_overlap(sample.mask, result.label_map, num_labels)),
    )


def sparse(table: Int64[np.ndarray, "row column"]) -> Cells:
    """The cells of a table that are not 0."""
    rows, columns = table.nonzero()
    return np.stack([rows, columns, table[rows, columns]], axis=1).astype(np.int64)


def total(tables: Sequence[Cells], size: tuple[int, int]) -> Int64[np.ndarray, "row column"]:
    """The sum of tables of this size."""
    result = np.zeros(size, np.int64)
    for cells in tables:
        result[cells[:, 0], cells[:, 1]] += cells[:, 2]
    return result


def _cells(values: list[list[int]]) -> Cells:
    return np.array(values, np.int64).reshape(-1, 3)
