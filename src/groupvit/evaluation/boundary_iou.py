"""Boundary IoU: the overlap of what lies along borders, where large areas do not outvote it.

The boundary region of a class is that part of it which lies within a distance of pixels of other
classes, or of the edge of the image; its IoU is that of the regions of truth and prediction
(Cheng et al. 2021; GroupViT, table 3). Distances are 2 % of the diagonal, in rows and columns.
"""

import math

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8, UInt16
from torch.nn import functional as F

from groupvit.evaluation.scores import IGNORED

DISTANCE = 0.02
"""How wide a boundary region is, in diagonals of the image."""
_BEYOND = 1e6
"""More than any class."""

LabelMap = UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]


def border_overlap(
    truth: UInt8[np.ndarray, "height width"], prediction: LabelMap, num_labels: int
) -> Int64[np.ndarray, "label 2"]:
    """Of every class the pixels that its two boundary regions share, and those of either.

    Pixels whose truth is 255 are no part of any region, and stand beside every class.
    """
    counted = truth != IGNORED
    distance = max(1, round(DISTANCE * math.hypot(*truth.shape)))
    of_truth = _near_others(truth, counted, distance)
    of_prediction = _near_others(prediction, counted, distance)
    both = of_truth & of_prediction & (truth == prediction)
    num_shared, num_truth, num_prediction = (
        np.bincount(labels[region], minlength=num_labels)
        for labels, region in ((truth, both), (truth, of_truth), (prediction, of_prediction))
    )
    return np.stack([num_shared, num_truth + num_prediction - num_shared], axis=1)


def _near_others(
    labels: LabelMap, counted: Bool[np.ndarray, "height width"], distance: int
) -> Bool[np.ndarray, "height width"]:
    """Which counted pixels have one of another class, or the edge, within the distance."""
    own = torch.from_numpy(labels.astype(np.float32))
    known = torch.from_numpy(counted)
    highest = _highest(own.masked_fill(~known, -1.0), distance)
    lowest = -_highest((-own).masked_fill(~known, -_BEYOND), distance)
    near: Bool[np.ndarray, "height width"] = ((highest != own) | (lowest != own)).numpy() & counted
    return near


def _highest(values: torch.Tensor, distance: int) -> torch.Tensor:
    """The highest value in the square around every pixel; beyond the edge lie very high ones."""
    padded = F.pad(values[None], (distance,) * 4, value=_BEYOND)
    side = 2 * distance + 1
    rows = F.max_pool2d(padded, (side, 1), stride=1)
    return F.max_pool2d(rows, (1, side), stride=1)[0]
