"""Result of an evaluation: sums over the images of a benchmark."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64

from groupvit.evaluation.measurement import Measurement
from groupvit.evaluation.per_image import ImageCounts, add
from groupvit.evaluation.scores import Scores, mean_of_known, ratios, scores_of
from groupvit.evaluation.verdict import OneClass, StageFloors, one_class


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageScore:
    """Scores of one image."""

    index: int
    """Index of the image in the benchmark."""
    name: str
    """Name of the image in reports."""
    miou: float
    """Mean IoU of the classes in its mask or its label map, [0, 1]."""
    pixel_accuracy: float
    """Fraction of its pixels with the right label, [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """Scores of a model on a benchmark."""

    measurement: Measurement
    """Conditions of the scores."""
    scores: Scores
    """Scores of the label maps."""
    oracles: tuple[Scores, ...]
    """Per stage, first to last: scores if every group had its best label (the oracle)."""
    groups_used: tuple[float, ...]
    """Per stage: mean number of groups that have pixels in an image."""
    best_group_iou: tuple[float, ...]
    """Per stage: IoU of the group that fits a class best, whatever its label; mean over all
    classes in all images, without the background (mask probing; GroupViT, appendix C.2)."""
    boundary_iou: tuple[float | None, ...]
    """Per class: IoU of boundary regions; None for a class without any."""
    confusion: Int64[np.ndarray, "label label"]
    """Number of pixels by mask (rows) and label map (columns)."""
    images: tuple[ImageScore, ...]
    """Scores of every image, in the order of the benchmark, without images in which no pixel
    counts."""
    num_images: int
    """Number of images that were scored."""
    seconds: float
    """Duration, reading of files included."""
    num_timed: int
    """Number of images within this duration; the journal had the others."""
    floors: tuple[StageFloors, ...] = ()
    """Per stage: floors of its oracle; empty if they were not measured."""

    @property
    def oracle(self) -> Scores:
        """Oracle of the last stage."""
        return self.oracles[-1]

    @property
    def one_class(self) -> OneClass:
        """Score of one class everywhere, the floor of `scores`."""
        background = self.measurement.background is not None
        return one_class(self.confusion, self.scores.labels, has_background=background)

    @property
    def shown_iou(self) -> tuple[float | None, ...]:
        """Per class: IoU, and None for a class that is in no mask, even if it is predicted."""
        return self._of_present(self.scores.iou)

    @property
    def shown_boundary_iou(self) -> tuple[float | None, ...]:
        """Per class: IoU of boundary regions, and None as for `shown_iou`."""
        return self._of_present(self.boundary_iou)

    def _of_present(self, values: Sequence[float | None]) -> tuple[float | None, ...]:
        present = [bool(row.any()) for row in self.confusion]
        return tuple(value if here else None for value, here in zip(values, present, strict=True))

    @property
    def boundary_miou(self) -> float:
        """Mean of `boundary_iou`; NaN if no pixel counts."""
        return mean_of_known(self.boundary_iou)

    def to_values(self) -> dict[str, Any]:
        """Values for JSON, without single images; None for a class that occurs nowhere."""
        labels = self.scores.labels
        return {
            **self.measurement.to_values(),
            "scores": self.scores.to_values(),
            "oracles": list(map(Scores.to_values, self.oracles)),
            "boundary": {
                "miou": self.boundary_miou,
                "iou": dict(zip(labels, self.boundary_iou, strict=True)),
            },
            "best_group_iou": list(self.best_group_iou),
            "groups_used": list(self.groups_used),
            "one_class": self.one_class._asdict(),
            "floors": list(map(StageFloors.to_values, self.floors)),
            "confusion": self.confusion.tolist(),
            "num_images": self.num_images,
            "seconds": self.seconds,
            "num_timed": self.num_timed,
        }


def summed(
    counts: Sequence[ImageCounts],
    classes: tuple[str, ...],
    measurement: Measurement,
    *,
    seconds: float,
    num_timed: int,
) -> Evaluation:
    """Evaluation from the counts of all images.

    Args:
        counts: Counts of at least one image, in any order.
        classes: Names of the classes, the background first if there is one.
        measurement: Conditions of the counts.
        seconds: Duration of counting.
        num_timed: Number of images within this duration.
    """
    shape, num_stages = (len(classes), len(classes)), len(counts[0].oracles)
    confusion, boundary = np.zeros(shape, np.int64), np.zeros((len(classes), 2), np.int64)
    oracles = np.zeros((num_stages, *shape), np.int64)
    groups_used = [0] * num_stages
    best_ious: list[list[float]] = [[] for _ in range(num_stages)]
    images = []
    for one in sorted(counts, key=lambda one: one.index):
        add(one.confusion, confusion)
        add(one.boundary, boundary)
        for stage in range(num_stages):
            add(one.oracles[stage], oracles[stage])
            groups_used[stage] += one.groups_used[stage]
            best_ious[stage] += one.best_group_iou[stage]
        if len(one.confusion):
            images.append(_image_score(one, classes))
    return Evaluation(
        measurement=measurement,
        scores=scores_of(confusion, classes),
        oracles=tuple(scores_of(table, classes) for table in oracles),
        groups_used=tuple(total / len(counts) for total in groups_used),
        best_group_iou=tuple(map(mean_of_known, best_ious)),
        boundary_iou=ratios(boundary[:, 0], boundary[:, 1]),
        confusion=confusion,
        images=tuple(images),
        num_images=len(counts),
        seconds=seconds,
        num_timed=num_timed,
    )


def _image_score(counts: ImageCounts, classes: Sequence[str]) -> ImageScore:
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    add(counts.confusion, confusion)
    scores = scores_of(confusion, classes)
    return ImageScore(
        index=counts.index,
        name=counts.name,
        miou=scores.miou,
        pixel_accuracy=scores.pixel_accuracy,
    )
