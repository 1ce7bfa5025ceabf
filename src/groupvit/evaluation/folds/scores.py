"""Scores of two labels, «others» and a class: mIoU, FB-IoU, and the name test.

Per class c, sums over its episodes of the numbers of pixels

    both    in the mask of c and painted as c
    truth   in the mask of c
    painted painted as c
    pixels  counted

give IoU_c = both / (truth + painted - both), and the mIoU is the mean over the classes of a fold.
FB-IoU is the mean of the IoU of the foreground and that of the background, both from the sums over
all classes of the fold (Rakelly et al. 2018). The name test labels the same images by «others» and
a class of the fold that they do not show; its result is the share of the pixels painted as that
class, 0 for a model that knows the class, and that of all things for one that only finds things.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from groupvit.evaluation.scores import IGNORED, mean_of_known, ratios

MODEL = "model"
"""Name of the label maps of the model, beside those of floors."""
FLOORS = ("all others", "all foreground", "center box of half the area")
NAMELESS = "true foreground, name ignored"
"""Floors, which know nothing of the image; and one that knows the true foreground, but no name."""

Map = Bool[np.ndarray, "height width"]


class Areas(NamedTuple):
    """Numbers of pixels of a class."""

    both: int
    truth: int
    painted: int
    pixels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoLabelScores:
    """Scores of the classes of a fold, in [0, 1]."""

    labels: tuple[str, ...]
    """Names of the classes."""
    iou: tuple[float | None, ...]
    """Per class: IoU; None for a class without an episode, or without a pixel in either map."""
    fb_iou: float
    """Mean of the IoU of the foreground and of the background; NaN without pixels."""
    name_test: float | None
    """Share of the pixels painted as a class that is not in the image; None: not measured."""

    @property
    def miou(self) -> float:
        """Mean of `iou`; NaN if no pixel counts."""
        return mean_of_known(self.iou)

    def to_values(self) -> dict[str, Any]:
        """Values for JSON."""
        return {
            "miou": self.miou,
            "fb_iou": self.fb_iou,
            "name_test": self.name_test,
            "iou": dict(zip(self.labels, self.iou, strict=True)),
        }


def names_of_maps(*, has_background: bool) -> tuple[str, ...]:
    """Names of all label maps that are scored: the model's, then floors.

    Without a background class every pixel is foreground, so that `NAMELESS` is left out.
    """
    return (MODEL, *FLOORS, NAMELESS) if has_background else (MODEL, *FLOORS)


def floor_maps(mask: UInt8[np.ndarray, "height width"], *, has_background: bool) -> list[Map]:
    """Label maps of the floors, in the order of `names_of_maps` behind the model's.

    Args:
        mask: Class of every pixel.
        has_background: Class 0 of the mask is the background.
    """
    box = np.zeros(mask.shape, bool)
    [top, bottom], [left, right] = (_middle(side) for side in mask.shape)
    box[top:bottom, left:right] = True
    maps = [np.zeros(mask.shape, bool), np.ones(mask.shape, bool), box]
    return [*maps, (mask > 0) & (mask != IGNORED)] if has_background else maps


def _middle(side: int) -> tuple[int, int]:
    """Range of the middle of a side, which is shorter by the root of 2."""
    length = round(side * 0.5**0.5)
    first = (side - length) // 2
    return first, first + length


def areas(painted: Map, mask: UInt8[np.ndarray, "height width"], label: int) -> Areas:
    """Areas of a class in a label map and a mask; mask pixels of 255 do not count."""
    counted, truth = mask != IGNORED, mask == label
    return Areas(
        both=int((painted & truth).sum()),
        truth=int(truth.sum()),
        painted=int((painted & counted).sum()),
        pixels=int(counted.sum()),
    )


def scores_of(
    shown: Int64[np.ndarray, "label 4"],
    absent: Int64[np.ndarray, "label 4"],
    labels: tuple[str, ...],
) -> TwoLabelScores:
    """Scores from areas, summed over the episodes of each class.

    Args:
        shown: `Areas` of the classes in episodes.
        absent: Those of the name test, in which no image shows the class.
        labels: Names of the classes.
    """
    both, truth, painted, _ = shown.T
    union = truth + painted - both
    total = shown.sum(axis=0, keepdims=True)
    others = total[:, 3] - total[:, 1] - total[:, 2] + total[:, 0]
    front_back = ratios(
        np.concatenate([total[:, 0], others]),
        np.concatenate([total[:, 1] + total[:, 2] - total[:, 0], total[:, 3] - total[:, 0]]),
    )
    names = absent.sum(axis=0, keepdims=True)
    return TwoLabelScores(
        labels=labels,
        iou=ratios(both, union),
        fb_iou=mean_of_known(front_back),
        name_test=ratios(names[:, 2], names[:, 3])[0],
    )
