"""Areas of one image: what it adds to the scores of a fold, kept in the journal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64

from groupvit.evaluation.benchmarks.benchmark import Sample
from groupvit.evaluation.folds.scores import Map, areas, floor_maps

EPISODE, NAME_TEST = 0, 1
"""Kinds of rows: the class is in the image, or it is not."""
NUM_COLUMNS = 7
_LARGEST = 2**40
"""Largest number of pixels that is taken for one."""

Rows = Int64[np.ndarray, "row 7"]
"""Index of the label map in `names_of_maps`, kind, class, and the four `Areas`."""
Table = Int64[np.ndarray, "map 2 label 4"]
"""Sums of the areas by label map, kind and class."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageAreas:
    """Areas of one image."""

    index: int
    """Index of the image in the benchmark."""
    name: str
    """Name of the image in reports."""
    rows: Rows
    """One row for each class that was labeled and each label map."""

    def to_values(self) -> dict[str, Any]:
        """Values for JSON."""
        return {"index": self.index, "name": self.name, "rows": self.rows.tolist()}


def from_values(values: Any, *, num_maps: int, num_classes: int) -> ImageAreas:
    """Areas of values that were read from a file.

    Raises:
        ValueError: They cannot be areas of an image.
        LookupError: A value is missing.
        TypeError: A value is of another type.
        OverflowError: A number is too large.
    """
    rows = np.array(values["rows"], np.int64).reshape(-1, NUM_COLUMNS)
    index, name = values["index"], values["name"]
    if not isinstance(index, int) or index < 0 or not isinstance(name, str):
        raise ValueError("no index or name of an image")
    if len(rows) and (rows.min() < 0 or (rows.max(axis=0)[:3] >= (num_maps, 2, num_classes)).any()):
        raise ValueError("a label map or a class that does not exist")
    if len(rows) and rows.max() > _LARGEST:
        raise ValueError("more pixels than an image has")
    return ImageAreas(index=index, name=name, rows=rows)


def count(
    index: int,
    sample: Sample,
    shown: Mapping[int, Map],
    absent: Mapping[int, Map],
    *,
    has_background: bool,
) -> ImageAreas:
    """Compare label maps of single classes, and those of the floors, with the mask.

    Args:
        index: Index of the image in the benchmark.
        sample: Image and mask.
        shown: Pixels painted as a class, for the classes of the image's episodes.
        absent: Pixels painted as a class, for classes that are not in the image.
        has_background: Class 0 of the mask is the background.
    """
    floors = floor_maps(sample.mask, has_background=has_background)
    rows = [
        (place, kind, label, *areas(painted, sample.mask, label))
        for kind, maps in ((EPISODE, shown), (NAME_TEST, absent))
        for label, of_model in maps.items()
        for place, painted in enumerate((of_model, *floors))
    ]
    table = np.array(rows, np.int64).reshape(-1, NUM_COLUMNS)
    return ImageAreas(index=index, name=sample.name, rows=table)


def summed(
    counts: Sequence[ImageAreas],
    repeats: Mapping[tuple[int, int], int],
    *,
    num_maps: int,
    num_classes: int,
) -> Table:
    """Sums of the areas over images.

    Args:
        counts: Areas of images.
        repeats: Number of the episodes of an (image, class); pairs that are missing do not count.
            A name test counts once for each image.
        num_maps: Number of label maps.
        num_classes: Number of classes, the background among them.
    """
    table = np.zeros((num_maps, 2, num_classes, 4), np.int64)
    for one in counts:
        for place, kind, label, *found in one.rows.tolist():
            times = repeats.get((one.index, label), 0) if kind == EPISODE else 1
            table[place, kind, label] += times * np.array(found)
    return table
