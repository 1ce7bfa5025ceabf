"""Scores of label maps against masks: IoU of classes and means, as mmsegmentation defines them.

Axes:
    part: parts of an image, such as labels or groups.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped, UInt8

IGNORED = 255
"""Value of mask pixels that do not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of a whole benchmark, in [0, 1]."""

    labels: tuple[str, ...]
    """Names of the classes."""
    iou: tuple[float | None, ...]
    """Per class: intersection over union of mask and prediction, both summed over all images;
    None for a class without pixels in either, which no mean counts."""
    accuracy: tuple[float | None, ...]
    """Per class: fraction of its mask pixels that are predicted; None without mask pixels."""
    pixel_accuracy: float
    """Fraction of all pixels that are predicted; NaN if no pixel counts."""

    @property
    def miou(self) -> float:
        """Mean of `iou`; NaN if no pixel counts."""
        return mean_of_known(self.iou)

    @property
    def mean_accuracy(self) -> float:
        """Mean of `accuracy`; NaN if no pixel counts."""
        return mean_of_known(self.accuracy)

    def to_values(self) -> dict[str, Any]:
        """Values for JSON: means, and IoU by class."""
        return {
            "miou": self.miou,
            "mean_accuracy": self.mean_accuracy,
            "pixel_accuracy": self.pixel_accuracy,
            "iou": dict(zip(self.labels, self.iou, strict=True)),
        }


def scores_of(confusion: Int64[np.ndarray, "label label"], labels: Sequence[str]) -> Scores:
    """Scores from a confusion matrix.

    Args:
        confusion: Pixels by mask (rows) and prediction (columns): `overlap`, summed over images.
        labels: Names of the classes.
    """
    hits, truth = confusion.diagonal(), confusion.sum(axis=1)
    return Scores(
        labels=tuple(labels),
        iou=ratios(hits, truth + confusion.sum(axis=0) - hits),
        accuracy=ratios(hits, truth),
        pixel_accuracy=mean_of_known(ratios(hits.sum(keepdims=True), truth.sum(keepdims=True))),
    )


def overlap(
    mask: UInt8[np.ndarray, "height width"],
    parts: Shaped[np.ndarray, "height width"],
    shape: tuple[int, int],
) -> Int64[np.ndarray, "label part"]:
    """Number of pixels that each class shares with each part; mask pixels of 255 do not count.

    Args:
        mask: Class of every pixel.
        parts: Index of every pixel's part, such as a label or a group.
        shape: Number of classes and of parts.
    """
    counted = mask != IGNORED
    # One bin for each pair of class and part, row by row.
    pairs = mask[counted].astype(np.int64) * shape[1] + parts[counted]  # (pixel,)
    counts = np.bincount(pairs, minlength=shape[0] * shape[1])
    assert len(counts) == shape[0] * shape[1]
    return counts.astype(np.int64, copy=False).reshape(shape)


def ratios(
    parts: Int64[np.ndarray, " label"], wholes: Int64[np.ndarray, " label"]
) -> tuple[float | None, ...]:
    """Parts divided by wholes; None where the whole is 0."""
    # Python's division of whole numbers is exact beyond 53 bits, numpy's is not.
    pairs = zip(parts.tolist(), wholes.tolist(), strict=True)
    return tuple(part / whole if whole else None for part, whole in pairs)


def mean_of_known(values: Sequence[float | None]) -> float:
    """Mean of the values that are not None; NaN if there is none."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else math.nan
