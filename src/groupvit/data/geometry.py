"""The 5 operations of RandAugment that move pixels, as one map and one sampling of a batch."""

import math
from enum import IntEnum
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from groupvit.data.operations import LARGEST, Images, Strengths
from groupvit.imaging import MEAN

FILL: Final = tuple(float(round(value)) for value in MEAN)
"""Color of what comes into an image from outside."""


class Motion(IntEnum):
    """What moves the pixels of an image."""

    ROTATE = 0
    """About the middle, by up to 30 degrees; positive strengths turn counter-clockwise."""
    SHEAR_X = 1
    """Rows, by up to 0.3 of their distance from the top."""
    SHEAR_Y = 2
    """Columns, by up to 0.3 of their distance from the left."""
    TRANSLATE_X = 3
    """Rows, by up to 45 % of the width."""
    TRANSLATE_Y = 4
    """Columns, by up to 45 % of the height."""


_GREATEST: Final = {
    Motion.ROTATE: math.radians(30),
    Motion.SHEAR_X: 0.3,
    Motion.SHEAR_Y: 0.3,
    Motion.TRANSLATE_X: 0.45,
    Motion.TRANSLATE_Y: 0.45,
}


def move(images: Images, motions: Int[Tensor, " batch"], strengths: Strengths) -> Images:
    """Move each image in its way; bilinear, in whole numbers, filled with ImageNet's mean.

    Args:
        images: Whole numbers, 0 to 255.
        motions: A `Motion` for each.
        strengths: How far, -10 to 10.
    """
    height, width = images.shape[2:]
    maps = _maps(motions, strengths, height, width)
    sources = functional.affine_grid(maps, list(images.shape), align_corners=False)
    sampled = functional.grid_sample(images, sources, padding_mode="border", align_corners=False)
    fill = torch.tensor(FILL, dtype=images.dtype, device=images.device)[:, None, None]
    inside = (sources.abs() <= 1).all(dim=3)
    # A little is added as sums of weights come out as 0.9999999.
    return torch.where(inside[:, None], (sampled + 1e-3).floor(), fill)


def _maps(
    motions: Int[Tensor, " batch"], strengths: Strengths, height: int, width: int
) -> Float[Tensor, "batch 2 3"]:
    """Where each pixel comes from: affine maps in coordinates from -1 to 1."""
    amounts = {
        motion: torch.where(motions == motion, strengths * (greatest / LARGEST), 0.0)
        for motion, greatest in _GREATEST.items()
    }
    cosine, sine = amounts[Motion.ROTATE].cos(), amounts[Motion.ROTATE].sin()
    slope_x, slope_y = amounts[Motion.SHEAR_X], amounts[Motion.SHEAR_Y]
    # A pixel is 2 / width wide and 2 / height high, and shears start from the corner at (-1, -1).
    across, down = height / width, width / height
    rows = [
        [cosine, across * (slope_x - sine), across * slope_x + 2 * amounts[Motion.TRANSLATE_X]],
        [down * (slope_y + sine), cosine, down * slope_y + 2 * amounts[Motion.TRANSLATE_Y]],
    ]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
