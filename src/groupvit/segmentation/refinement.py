"""Refinement: borders of labels move to where the colors of the image change.

Pixel-adaptive mask refinement, PAMR (Araslanov and Roth 2020, Single-Stage Semantic Segmentation
from Image Labels, section 3.4): again and again the scores of a pixel become the mean of those of
some pixels around it, weighted by how alike the colors are,

    k(i, j) = mean over red, green, blue of - |I_i - I_j| / (contrast * deviation around i)
    a(i, j) = softmax of k(i, j) over the pixels j around i
    m_i     = sum over j of a(i, j) m_j

Nothing in it is learned.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from groupvit.errors import InputError

AROUND = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right)
"""The eight directions to the pixels around one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refinement:
    """How far and how sharply scores are spread."""

    steps: int = 10
    """How often."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 12, 24)
    """Distances of the eight pixels around one that count [pixels]."""
    contrast: float = 0.1
    """Differences of color that separate, in multiples of the deviation around a pixel."""

    def __post_init__(self) -> None:
        """Check that the numbers say something."""
        if self.steps < 1 or not self.dilations or min(self.dilations) < 1:
            raise InputError("a refinement needs at least one step and one dilation, from 1")
        if not self.contrast > 0:
            raise InputError(f"the contrast of the refinement is {self.contrast}; give more than 0")

    def __str__(self) -> str:
        return f"PAMR ({self.steps} steps, up to {max(self.dilations)} pixels)"


def refine(
    scores: Float[Tensor, "label height width"],
    image: Float[Tensor, "rgb image_height image_width"],
    refinement: Refinement,
) -> Float[Tensor, "label height width"]:
    """The scores, spread over what looks alike; those of a pixel keep their sum.

    Labels that are best at no pixel take no part and become 0: they cost time and could hardly win.

    Args:
        scores: At least 0.
        image: In any unit of color; it is brought to the size of the scores.
        refinement: How.
    """
    taking_part = torch.unique(scores.max(dim=0).indices)
    if image.shape[-2:] != scores.shape[-2:]:
        image = F.interpolate(image[None], scores.shape[-2:], mode="bilinear", antialias=True)[0]
    affinities = _affinities(image, refinement)
    spread = scores[taking_part]
    for _ in range(refinement.steps):
        around = _around(spread, refinement.dilations)
        spread = sum(
            (part * affinity for part, affinity in zip(around, affinities, strict=True)),
            start=torch.zeros_like(spread),
        )
    refined = torch.zeros_like(scores)
    refined[taking_part] = spread
    return refined


def _affinities(
    image: Float[Tensor, "rgb height width"], refinement: Refinement
) -> Float[Tensor, "neighbor height width"]:
    """How much each of the pixels around a pixel counts; sums to 1."""
    around = torch.stack(list(_around(image, refinement.dilations)))
    deviation = torch.cat([around, image[None]]).std(dim=0)
    unlike = (around - image).abs() / (refinement.contrast * deviation + 1e-8)
    result: Tensor = (-unlike.mean(dim=1)).softmax(dim=0)
    return result


def _around(
    x: Float[Tensor, "channel height width"], dilations: tuple[int, ...]
) -> Iterator[Float[Tensor, "channel height width"]]:
    """For every distance and direction the values there; outside, those of the border."""
    height, width = x.shape[-2:]
    for distance in dilations:
        padded = F.pad(x, (distance,) * 4, mode="replicate")
        for down, right in AROUND:
            top, left = distance * (1 + down), distance * (1 + right)
            yield padded[:, top : top + height, left : left + width]
