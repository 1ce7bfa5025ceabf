"""Scores of label maps against the truth: the IoU of classes, and means, as mmsegmentation's.

Axes:
    part: pieces that an image is divided into, such as labels or groups.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Shaped, UInt8

IGNORED = 255
"""Value of pixels in the truth that do not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What a whole benchmark comes to; everything is a share in [0, 1]."""

    labels: tuple[str, ...]
    """Names of the classes."""
    iou: tuple[float | None, ...]
    """Of each class the pixels of truth and prediction together, over those of either, summed over
    all images; None for a class that has no pixel in either, which no mean counts."""
    accuracy: tuple[float | None, ...]
    """Of each class the pixels that are predicted as such; None for one without truth."""
    pixel_accuracy: float
    """The pixels that are right; not a number if none counts."""

    @property
    def miou(self) -> float:
        """The mean of `iou`; not a number if no pixel counts."""
        return _mean(self.iou)

    @property
    def mean_accuracy(self) -> float:
        """The mean of `accuracy`; not a number if no pixel counts."""
        return _mean(self.accuracy)


def scores_of(table: Int64[np.ndarray, "label label"], labels: Sequence[str]) -> Scores:
    """The scores of pixels by truth (rows) and prediction (columns).

    Args:
        table: The sum of `overlap` over all images.
        labels: Names of the classes.
    """
    hits, truth = table.diagonal(), table.sum(axis=1)
    return Scores(
        labels=tuple(labels),
        iou=shares(hits, truth + table.sum(axis=0) - hits),
        accuracy=shares(hits, truth),
        pixel_accuracy=_mean(shares(hits.sum(keepdims=True), truth.sum(keepdims=True))),
    )


def overlap(
    truth: UInt8[np.ndarray, "height width"],
    parts: Shaped[np.ndarray, "height width"],
    size: tuple[int, int],
) -> Int64[np.ndarray, "label part"]:
    """How many pixels each class of the truth shares with each part; those of 255 are left out.

    Args:
        truth: The class of every pixel.
        parts: For each pixel the index of its part, such as a label or a group.
        size: How many classes and parts there are.
    """
    counted = truth != IGNORED
    pairs = truth[counted].astype(np.int64) * size[1] + parts[counted]
    counts = np.bincount(pairs, minlength=size[0] * size[1])
    assert len(counts) == size[0] * size[1]
    return counts.astype(np.int64, copy=False).reshape(size)


def shares(
    parts: Int64[np.ndarray, " label"], wholes: Int64[np.ndarray, " label"]
) -> tuple[float | None, ...]:
    """Parts of wholes; None where the whole is empty."""
    return tuple(map(_share, parts.tolist(), wholes.tolist()))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else math.nan
