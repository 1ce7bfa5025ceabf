"""Boundary IoU: overlap of the pixels along boundaries, which large areas do not outvote.

The boundary region of a class holds its pixels within a distance of pixels of other classes, or of
the edge of the image; boundary IoU is the IoU of the regions of mask and prediction (Cheng et al.
2021; GroupViT, table 3). The distance is 2 % of the diagonal, measured in rows and columns.
"""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8, UInt16
from torch import Tensor
from torch.nn import functional as F

from groupvit.evaluation.scores import IGNORED

DISTANCE = 0.02
"""Width of a boundary region, in diagonals of the image."""
_OUTSIDE = 1e6
"""Above any class; a class outside the image."""

LabelMap = UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]


def boundary_overlap(
    mask: UInt8[np.ndarray, "height width"], prediction: LabelMap, num_labels: int
) -> Int64[np.ndarray, "label 2"]:
    """Per class the number of pixels in both boundary regions, and in either.

    Mask pixels of 255 belong to no region, and make no boundary.
    """
    counted = mask != IGNORED
    distance = max(1, round(DISTANCE * math.hypot(*mask.shape)))
    of_mask = _near_others(mask, counted, distance)
    of_prediction = _near_others(prediction, counted, distance)
    both = of_mask & of_prediction & (mask == prediction)
    num_both, num_mask, num_prediction = (
        np.bincount(labels[region], minlength=num_labels)
        for labels, region in ((mask, both), (mask, of_mask), (prediction, of_prediction))
    )
    return np.stack([num_both, num_mask + num_prediction - num_both], axis=1)


def _near_others(
    labels: LabelMap, counted: Bool[np.ndarray, "height width"], distance: int
) -> Bool[np.ndarray, "height width"]:
    """Counted pixels with another class, or the edge of the image, within the distance.

    A pixel is near another class where the highest or the lowest class around it is not its own.
    """
    own = torch.from_numpy(labels.astype(np.float32))
    known = torch.from_numpy(counted)
    # Pixels that do not count can be neither the highest nor the lowest.
    highest = _highest(own.masked_fill(~known, -1.0), distance)
    lowest = -_highest((-own).masked_fill(~known, -_OUTSIDE), distance)
    near: Bool[np.ndarray, "height width"] = ((highest != own) | (lowest != own)).numpy() & counted
    return near


def _highest(values: Float[Tensor, "height width"], distance: int) -> Float[Tensor, "height width"]:
    """Highest value in the square around every pixel; outside the image all are very high."""
    padded = F.pad(values[None], (distance,) * 4, value=_OUTSIDE)
    side = 2 * distance + 1
    # The maximum over a square is that over rows of the maxima over columns: far fewer steps.
    rows = F.max_pool2d(padded, (side, 1), stride=1)
    return F.max_pool2d(rows, (1, side), stride=1)[0]
