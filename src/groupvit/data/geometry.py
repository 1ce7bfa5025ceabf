"""The 5 geometric operations of RandAugment, as one affine map and one sampling of a batch."""

import math
from enum import IntEnum
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from groupvit.data.operations import LARGEST, Images, Strengths

FILL: Final = (124.0, 116.0, 104.0)
"""Color of pixels from outside the image: ImageNet's mean, rounded."""


class Warp(IntEnum):
    """Geometric operations, and their range."""

    ROTATE = 0
    """About the center, by up to 30 degrees; positive strengths turn counter-clockwise."""
    SHEAR_X = 1
    """Rows, by up to 0.3 of their distance from the top."""
    SHEAR_Y = 2
    """Columns, by up to 0.3 of their distance from the left."""
    TRANSLATE_X = 3
    """Rows, by up to 45 % of the width."""
    TRANSLATE_Y = 4
    """Columns, by up to 45 % of the height."""


_RANGES: Final = {
    Warp.ROTATE: math.radians(30),
    Warp.SHEAR_X: 0.3,
    Warp.SHEAR_Y: 0.3,
    Warp.TRANSLATE_X: 0.45,
    Warp.TRANSLATE_Y: 0.45,
}


def warp(images: Images, kinds: Int[Tensor, " batch"], strengths: Strengths) -> Images:
    """Warped images: bilinear, whole numbers, filled with ImageNet's mean.

    Args:
        images: Whole numbers, 0 to 255.
        kinds: A `Warp` for each image.
        strengths: -10 to 10, from one end of the range to the other.
    """
    height, width = images.shape[2:]
    maps = _affine_maps(kinds, strengths, height, width)
    sources = functional.affine_grid(maps, list(images.shape), align_corners=False)
    sampled = functional.grid_sample(images, sources, padding_mode="border", align_corners=False)
    fill = torch.tensor(FILL, dtype=images.dtype, device=images.device)[:, None, None]
    inside = (sources.abs() <= 1).all(dim=3)
    # The small term makes up for sums of weights such as 0.9999999.
    return torch.where(inside[:, None], (sampled + 1e-3).floor(), fill)


def _affine_maps(
    kinds: Int[Tensor, " batch"], strengths: Strengths, height: int, width: int
) -> Float[Tensor, "batch 2 3"]:
    """Affine maps from output to input pixels, in coordinates from -1 to 1."""
    amounts = {
        kind: torch.where(kinds == kind, strengths * (largest / LARGEST), 0.0)
        for kind, largest in _RANGES.items()
    }
    cosine, sine = amounts[Warp.ROTATE].cos(), amounts[Warp.ROTATE].sin()
    slope_x, slope_y = amounts[Warp.SHEAR_X], amounts[Warp.SHEAR_Y]
    # A pixel is 2 / width wide and 2 / height high, and shears start from the corner at (-1, -1).
    across, down = height / width, width / height
    rows = [
        [cosine, across * (slope_x - sine), across * slope_x + 2 * amounts[Warp.TRANSLATE_X]],
        [down * (slope_y + sine), cosine, down * slope_y + 2 * amounts[Warp.TRANSLATE_Y]],
    ]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
