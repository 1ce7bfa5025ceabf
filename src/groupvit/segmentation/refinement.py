"""Refinement: borders of labels move to where the colors of the image change.

Pixel-adaptive mask refinement, PAMR (Araslanov and Roth 2020, Single-Stage Semantic Segmentation
from Image Labels, section 3.4): in each step the scores of a pixel become the mean of those of
some pixels around it, weighted by the similarity of their colors,

    k(i, j) = mean over red, green, blue of - |I_i - I_j| / (contrast * deviation around i)
    a(i, j) = softmax of k(i, j) over the pixels j around i
    m_i     = sum over j of a(i, j) m_j

It has no learned parameters.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from groupvit.errors import InputError

AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""Directions (down, right) to the eight pixels around one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refinement:
    """Settings of PAMR."""

    steps: int = 10
    """Number of steps."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 12, 24)
    """Distances of the eight neighbors that are averaged [pixels]."""
    contrast: float = 0.1
    """Color difference that separates pixels, in standard deviations around a pixel."""
    resolution: float = 1.0
    """Share of the sides that the network saw at which scores are refined, (0, 1]; the cost falls
    with its square."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.steps < 1 or not self.dilations or min(self.dilations) < 1:
            raise InputError("a refinement needs at least one step and one dilation, from 1")
        if not 0 < self.resolution <= 1:
            raise InputError(
                f"the resolution of the refinement is {self.resolution}; give a share of the sides "
                "above 0, at most 1"
            )
        if not self.contrast > 0:
            raise InputError(f"the contrast of the refinement is {self.contrast}; give more than 0")

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width at which scores of an image of this size are refined [pixels]."""
        return max(1, round(height * self.resolution)), max(1, round(width * self.resolution))

    def __str__(self) -> str:
        size = "" if self.resolution == 1 else f", at {self.resolution:g} of the size"
        return f"PAMR ({self.steps} steps, up to {max(self.dilations)} pixels{size})"


def refine(
    scores: Float[Tensor, "label height width"],
    image: Float[Tensor, "rgb image_height image_width"],
    refinement: Refinement,
) -> Float[Tensor, "label height width"]:
    """Average scores over pixels of similar color; the sum of a pixel's scores is kept.

    Labels that are best at no pixel become 0: they would cost time and could hardly win.

    Args:
        scores: At least 0.
        image: In any unit of color; it is resized to the scores.
        refinement: Settings.
    """
    winners = torch.unique(scores.max(dim=0).indices)
    if image.shape[-2:] != scores.shape[-2:]:
        image = F.interpolate(image[None], scores.shape[-2:], mode="bilinear", antialias=True)[0]
    affinities = _affinities(image, refinement)  # (neighbor, height, width)
    spread = scores[winners]
    for _ in range(refinement.steps):
        # Neighbor by neighbor, as all of them together would be 48 times the scores.
        mean = torch.zeros_like(spread)
        for neighbor, affinity in zip(
            _around(spread, refinement.dilations), affinities, strict=True
        ):
            mean = mean + neighbor * affinity
        spread = mean
    refined = torch.zeros_like(scores)
    refined[winners] = spread
    return refined


def _affinities(
    image: Float[Tensor, "rgb height width"], refinement: Refinement
) -> Float[Tensor, "neighbor height width"]:
    """Weight of each pixel around a pixel; sums to 1."""
    around = torch.stack(
        list(_around(image, refinement.dilations))
    )  # (neighbor, rgb, height, width)
    deviation = torch.cat([around, image[None]]).std(dim=0)
    unlike = (around - image).abs() / (refinement.contrast * deviation + 1e-8)
    result: Tensor = (-unlike.mean(dim=1)).softmax(dim=0)
    return result


def _around(
    x: Float[Tensor, "channel height width"], dilations: tuple[int, ...]
) -> Iterator[Float[Tensor, "channel height width"]]:
    """Values at each distance and direction; beyond the border, those of the border."""
    height, width = x.shape[-2:]
    for distance in dilations:
        padded = F.pad(x, (distance,) * 4, mode="replicate")
        for down, right in AROUND:
            top, left = distance * (1 + down), distance * (1 + right)
            yield padded[:, top : top + height, left : left + width]
