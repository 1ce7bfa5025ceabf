"""Counts of one image: the few numbers that it adds to the scores, kept in the journal."""

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Int64

from groupvit.evaluation.benchmarks.benchmark import Sample
from groupvit.evaluation.boundary_iou import boundary_overlap
from groupvit.evaluation.oracle import ious, oracle_table
from groupvit.evaluation.scores import overlap
from groupvit.segmentation.result import Segmentation

Cells = Int64[np.ndarray, "_ 3"]
"""Cells of a table that are not 0: row, column, value."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageCounts:
    """Counts of one image."""

    index: int
    """Index of the image in the benchmark."""
    name: str
    """Name of the image in reports."""
    confusion: Cells
    """Pixels by mask (rows) and label map (columns)."""
    oracles: tuple[Cells, ...]
    """Per stage: pixels by mask (rows) and by the oracle's label of their group (columns)."""
    groups_used: tuple[int, ...]
    """Per stage: number of groups that have pixels."""
    best_group_iou: tuple[tuple[float, ...], ...]
    """Per stage: for every class in the image but the background, IoU of the group that fits it
    best."""
    boundary: Cells
    """Per class (row): pixels in both boundary regions (column 0), and in either (column 1)."""

    def to_values(self) -> dict[str, Any]:
        """Values for JSON."""
        return {
            "index": self.index,
            "name": self.name,
            "confusion": self.confusion.tolist(),
            "oracles": [cells.tolist() for cells in self.oracles],
            "groups_used": self.groups_used,
            "best_group_iou": self.best_group_iou,
            "boundary": self.boundary.tolist(),
        }

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> "ImageCounts":
        """Inverse of `to_values`."""
        return cls(
            index=values["index"],
            name=values["name"],
            confusion=_cells(values["confusion"]),
            oracles=tuple(map(_cells, values["oracles"])),
            groups_used=tuple(values["groups_used"]),
            best_group_iou=tuple(map(tuple, values["best_group_iou"])),
            boundary=_cells(values["boundary"]),
        )

    def check(self, *, num_classes: int) -> None:
        """Check values that were read from a file.

        Raises:
            ValueError: They cannot be counts of an image with at most this many classes.
        """
        if not isinstance(self.index, int) or self.index < 0 or not isinstance(self.name, str):
            raise ValueError("no index or name of an image")
        for cells in (self.confusion, self.boundary, *self.oracles):
            if len(cells) and (cells.min() < 0 or cells[:, :2].max() >= num_classes):
                raise ValueError("a class that does not exist")
        if not len(self.oracles) == len(self.groups_used) == len(self.best_group_iou):
            raise ValueError("other numbers of stages")
        if not all(isinstance(number, int) for number in self.groups_used):
            raise ValueError("no number of groups")
        for iou in chain.from_iterable(self.best_group_iou):
            if not isinstance(iou, float | int):
                raise ValueError("no IoU")


def count(
    index: int, sample: Sample, result: Segmentation, *, num_classes: int, has_background: bool
) -> ImageCounts:
    """Compare a segmentation, and its groups at every stage, with the mask.

    Args:
        index: Index of the image in the benchmark.
        sample: Image and mask.
        result: Segmentation of the image.
        num_classes: Number of classes, the background among them.
        has_background: Class 0 is the background.
    """
    oracles, groups_used, best_group_iou = [], [], []
    for stage in range(result.groups.num_stages):
        # Groups without pixels are dropped: `compact` numbers the others from 0.
        numbers, compact = np.unique(result.group_map(stage), return_inverse=True)
        shared = overlap(sample.mask, compact, (num_classes, len(numbers)))  # (label, group)
        present = np.flatnonzero(shared.sum(axis=1)[has_background:]) + has_background
        oracles.append(sparse(oracle_table(shared)))
        groups_used.append(len(numbers))
        best_group_iou.append(tuple(ious(shared)[present].max(axis=1).tolist()))
    confusion = overlap(sample.mask, result.label_map, (num_classes, num_classes))
    return ImageCounts(
        index=index,
        name=sample.name,
        confusion=sparse(confusion),
        oracles=tuple(oracles),
        groups_used=tuple(groups_used),
        best_group_iou=tuple(best_group_iou),
        boundary=sparse(boundary_overlap(sample.mask, result.label_map, num_classes)),
    )


def sparse(table: Int64[np.ndarray, "row column"]) -> Cells:
    """Cells of a table that are not 0."""
    rows, columns = table.nonzero()
    return np.stack([rows, columns, table[rows, columns]], axis=1).astype(np.int64)


def add(cells: Cells, table: Int64[np.ndarray, "row column"]) -> None:
    """Add the cells to a table, in place."""
    table[cells[:, 0], cells[:, 1]] += cells[:, 2]


def _cells(values: list[list[int]]) -> Cells:
    return np.array(values, np.int64).reshape(-1, 3)
