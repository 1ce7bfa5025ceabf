"""Scores of label maps against the truth: the IoU of classes, and means, as mmsegmentation's.

Axes:
    part: pieces that a picture is divided into, such as labels or groups.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Shaped, UInt8, UInt16

IGNORED = 255
"""Value of pixels in the truth that do not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What a whole benchmark comes to; everything is a share in [0, 1]."""

    labels: tuple[str, ...]
    """Names of the classes."""
    iou: tuple[float | None, ...]
    """Of each class the pixels of truth and prediction together, over those of either, summed over
    all pictures; None for a class that has no pixel in either, which no mean counts."""
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


class Confusion:
    """How many pixels of each class were predicted as which; grows picture by picture.

    Args:
        num_labels: How many classes there are.
    """

    def __init__(self, num_labels: int) -> None:
        self.table: Int64[np.ndarray, "label label"] = np.zeros((num_labels, num_labels), np.int64)
        """Pixels by truth (rows) and prediction (columns)."""

    def add(
        self,
        truth: UInt8[np.ndarray, "height width"],
        prediction: UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"],
    ) -> None:
        """Count a picture; where the truth is 255 it does not count."""
        self.table += overlap(truth, prediction, (len(self.table), len(self.table)))

    def scores(self, labels: Sequence[str]) -> Scores:
        """The scores of everything counted so far."""
        hits, truth = self.table.diagonal(), self.table.sum(axis=1)
        union = truth + self.table.sum(axis=0) - hits
        return Scores(
            labels=tuple(labels),
            iou=_shares(hits, union),
            accuracy=_shares(hits, truth),
            pixel_accuracy=_mean(_shares(hits.sum(keepdims=True), truth.sum(keepdims=True))),
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


def _shares(
    parts: Int64[np.ndarray, " label"], wholes: Int64[np.ndarray, " label"]
) -> tuple[float | None, ...]:
    return tuple(map(_share, parts.tolist(), wholes.tolist()))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else math.nan
