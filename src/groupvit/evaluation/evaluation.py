"""What a benchmark comes to, summed over its images."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Int64

from groupvit.evaluation.per_image import Counts, total
from groupvit.evaluation.scores import Scores, scores_of, shares


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageScore:
    """How one image went."""

    index: int
    """Which image of the benchmark."""
    name: str
    """What reports call it."""
    miou: float
    """Mean IoU of the classes that its truth or its label map has, [0, 1]."""
    pixel_accuracy: float
    """Share of its pixels that are right, [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """How well a model does on a benchmark."""

    scores: Scores
    """Of the label maps."""
    oracles: tuple[Scores, ...]
    """For each stage, the first first: what its groups would score with the right words."""
    groups_used: tuple[float, ...]
    """For each stage, how many groups have pixels of their own in an image, on average."""
    jaccard: tuple[float, ...]
    """For each stage, the IoU of that group which fits a class best, on average over the classes in
    images, whatever its word (mask probing; GroupViT, appendix C.2)."""
    border_iou: tuple[float | None, ...]
    """Of each class the IoU of boundary regions; None for a class that has none."""
    confusion: Int64[np.ndarray, "label label"]
    """Pixels by truth (rows) and prediction (columns)."""
    images: tuple[ImageScore, ...]
    """Every image, in the order of the benchmark; those in which no pixel counts are left out."""
    num_images: int
    """How many images were scored."""
    seconds: float
    """How long that took, reading the files included."""
    num_timed: int
    """How many of them that time was for; the others were done before."""

    @property
    def oracle(self) -> Scores:
        """Of the groups that take the words: those of the last stage."""
        return self.oracles[-1]

    @property
    def border_miou(self) -> float:
        """The mean of `border_iou`; not a number if no pixel counts."""
        known = [value for value in self.border_iou if value is not None]
        return math.fsum(known) / len(known) if known else math.nan

    def to_values(self) -> dict[str, Any]:
        """All but single images as values for JSON; a class that occurs nowhere has None."""
        labels = self.scores.labels
        return {
            "scores": _values(self.scores),
            "oracles": [_values(scores) for scores in self.oracles],
            "borders": {
                "miou": self.border_miou,
                "iou": dict(zip(labels, self.border_iou, strict=True)),
            },
            "jaccard": list(self.jaccard),
            "groups_used": list(self.groups_used),
            "confusion": self.confusion.tolist(),
            "num_images": self.num_images,
            "seconds": self.seconds,
            "num_timed": self.num_timed,
        }


def summed(
    counts: Sequence[Counts], labels: tuple[str, ...], *, seconds: float, num_timed: int
) -> Evaluation:
    """The evaluation that the counts of all images come to, at least one.

    Args:
        counts: One for each image, in any order.
        labels: Names of the classes, the background among them.
        seconds: How long it took to count.
        num_timed: How many of the images.
    """
    counts = sorted(counts, key=lambda one: one.index)
    table = partial(total, size=(len(labels), len(labels)))
    stages = range(len(counts[0].oracles))
    confusion = table([one.confusion for one in counts])
    borders = total([one.borders for one in counts], (len(labels), 2))
    return Evaluation(
        scores=scores_of(confusion, labels),
        oracles=tuple(
            scores_of(table([one.oracles[stage] for one in counts]), labels) for stage in stages
        ),
        groups_used=tuple(
            statistics.fmean(one.groups_used[stage] for one in counts) for stage in stages
        ),
        jaccard=tuple(_mean([x for one in counts for x in one.jaccard[stage]]) for stage in stages),
        border_iou=shares(borders[:, 0], borders[:, 1]),
        confusion=confusion,
        images=tuple(_image(one, table([one.confusion])) for one in counts if len(one.confusion)),
        num_images=len(counts),
        seconds=seconds,
        num_timed=num_timed,
    )


def _image(counts: Counts, table: Int64[np.ndarray, "label label"]) -> ImageScore:
    scores = scores_of(table, [""] * len(table))
    return ImageScore(
        index=counts.index,
        name=counts.name,
        miou=scores.miou,
        pixel_accuracy=scores.pixel_accuracy,
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _values(scores: Scores) -> dict[str, Any]:
    per_class = dict(zip(scores.labels, scores.iou, strict=True))
    return {
        "miou": scores.miou,
        "mean_accuracy": scores.mean_accuracy,
        "pixel_accuracy": scores.pixel_accuracy,
        "iou": per_class,
    }
