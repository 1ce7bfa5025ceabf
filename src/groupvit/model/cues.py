"""Cues of tokens: what their grouping inside an image compares.

Each cue is a vector of every token: the maps of the trunk in few dimensions, color and place. All
are centered in the image and scaled to a mean squared length of 1 there, so that weights between
them mean the same in every image. The features of a grouping are the weighted cues side by side.
"""

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from groupvit.model.efficientnet import Taps

_WHITE = (0.95047, 1.0, 1.08883)
"""X, Y and Z of the white D65."""
_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
"""X, Y and Z (rows) of linear red, green and blue."""
_RELATIVE_XYZ = tuple(
    tuple(value / white for value in row) for row, white in zip(_XYZ, _WHITE, strict=True)
)


class CueWeights(NamedTuple):
    """Factor of each cue; a cue of factor 0 is left out."""

    fine: float
    middle: float
    coarse: float
    color: float = 0.0
    place: float = 0.0


SMALL_PARTS = CueWeights(fine=0.5, middle=0.6, coarse=0.5, color=0.5, place=0.6)
"""Weights that cut an image into small parts."""
MERGED_PARTS = CueWeights(fine=0.6, middle=0.7, coarse=0.7)
"""Weights that join parts by what they show, wherever they are."""


class Bases(NamedTuple):
    """Linear maps of the maps of the trunk to few dimensions: principal axes of many images."""

    fine: Float[Tensor, "fine_dim fine_axis"]
    middle: Float[Tensor, "middle_dim middle_axis"]
    coarse: Float[Tensor, "coarse_dim coarse_axis"]


AXES = (16, 32, 32)
"""Axes of the bases of the three maps."""


class Cues(NamedTuple):
    """Cues of the tokens of images, row by row."""

    fine: Float[Tensor, "batch token fine_axis"]
    middle: Float[Tensor, "batch token middle_axis"]
    coarse: Float[Tensor, "batch token coarse_axis"]
    color: Float[Tensor, "batch token 3"]
    """L*a*b*."""
    place: Float[Tensor, "batch token 2"]
    """Row and column."""

    def weighted(self, weights: CueWeights) -> Float[Tensor, "batch token dim"]:
        """Features of a grouping: the cues side by side, each times its weight."""
        pairs = zip(self, weights, strict=True)
        return torch.cat([weight * cue for cue, weight in pairs if weight], dim=-1)


class Reduced(NamedTuple):
    """Maps of the trunk in few dimensions, in float32, each on a grid of its own."""

    fine: Float[Tensor, "batch fine_axis height width"]
    middle: Float[Tensor, "batch middle_axis middle_height middle_width"]
    coarse: Float[Tensor, "batch coarse_axis coarse_height coarse_width"]


def reduced(
    fine: Float[Tensor, "batch fine_dim height width"],
    middle: Float[Tensor, "batch middle_dim middle_height middle_width"],
    coarse: Float[Tensor, "batch coarse_dim coarse_height coarse_width"],
    bases: Bases,
) -> Reduced:
    """Maps of the trunk by the bases of the cues; their means need not be subtracted."""
    pairs = zip((fine, middle, coarse), bases, strict=True)
    return Reduced(*(_projected(features.float(), basis) for features, basis in pairs))


def cues(maps: Reduced, colors: Float[Tensor, "batch 3 height width"]) -> Cues:
    """Cues of images on the grid of the finest map.

    Args:
        maps: See `reduced`.
        colors: See `groupvit.model.efficientnet.cell_colors`.
    """
    height, width = maps.fine.shape[-2:]
    found = (
        *(resized(one, (height, width)) for one in maps),
        lab(colors.float()),
        _places(colors.float()),
    )
    return Cues(*(_standardized(one) for one in found))


def fit_bases(taps: Taps, coarse: Float[Tensor, "batch coarse_dim height width"]) -> Bases:
    """Principal axes of the maps of many images, the largest variance first, not whitened.

    They are the eigenvectors of the covariance over all places of all images, in float64; of each
    the entry of largest size is positive.

    Args:
        taps: Maps of the lower half of the trunk.
        coarse: Last map of the upper half.
    """
    maps = taps.fine, taps.middle, coarse
    return Bases(*(_principal(*pair) for pair in zip(maps, AXES, strict=True)))


def _principal(
    features: Float[Tensor, "batch dim height width"], num_axes: int
) -> Float[Tensor, "dim axis"]:
    rows = rearrange(features, "batch dim height width -> (batch height width) dim").double()
    centered = rows - rows.mean(dim=0)
    axes: Tensor = torch.linalg.eigh(centered.mT @ centered).eigenvectors.flip(1)[:, :num_axes]
    largest = axes.gather(0, axes.abs().max(dim=0, keepdim=True).indices)
    exact: Tensor = axes * largest.sign()
    return exact.float().contiguous()


def _projected(
    features: Float[Tensor, "batch dim height width"], basis: Float[Tensor, "dim axis"]
) -> Float[Tensor, "batch axis height width"]:
    return torch.einsum("bdhw,da->bahw", features, basis.to(features.dtype))


def resized(
    features: Float[Tensor, "batch dim height width"], size: tuple[int, int]
) -> Float[Tensor, "batch dim new_height new_width"]:
    """Maps brought to (height, width), bilinear."""
    return features if features.shape[-2:] == size else interpolated(features, size)


def interpolated(
    features: Float[Tensor, "batch dim height width"], size: tuple[int, int]
) -> Float[Tensor, "batch dim new_height new_width"]:
    """The same for sizes that are not known while a graph is exported."""
    return F.interpolate(features, size, mode="bilinear", align_corners=False)


def _places(like: Float[Tensor, "batch _ height width"]) -> Float[Tensor, "batch 2 height width"]:
    """Row and column of each token."""
    rows, columns = (torch.arange(length).to(like) for length in like.shape[-2:])
    axes = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack(axes).expand(len(like), -1, -1, -1)


def _standardized(
    features: Float[Tensor, "batch dim height width"],
) -> Float[Tensor, "batch token dim"]:
    """Tokens, centered and of a mean squared length of 1 in each image; all 0 if all are equal."""
    tokens = rearrange(features, "batch dim height width -> batch (height width) dim")
    centered = tokens - tokens.mean(dim=1, keepdim=True)
    square = centered.square().sum(dim=-1).mean(dim=1)[:, None, None]
    # Rounding makes tokens that are equal differ by some 1e-7 of their size.
    noise = 1e-10 * tokens.square().sum(dim=-1).mean(dim=1)[:, None, None]
    flat = square <= noise
    return torch.where(flat, 0.0, centered / square.masked_fill(flat, 1.0).sqrt())


def lab(
    colors: Float[Tensor, "batch 3 height width"],
) -> Float[Tensor, "batch 3 height width"]:
    """CIE L*a*b* (white D65; L* 0 to 100) of sRGB in [0, 1], as in IEC 61966-2-1 and CIE 15."""
    colors = colors.clamp(0, 1)
    curved = ((colors + 0.055) / 1.055) ** 2.4
    linear = torch.where(colors <= 0.04045, colors / 12.92, curved)
    relative = torch.einsum("wc,bcij->bwij", linear.new_tensor(_RELATIVE_XYZ), linear)
    root = torch.where(
        relative > (6 / 29) ** 3,
        relative.clamp(min=1e-6) ** (1 / 3),
        relative / (3 * (6 / 29) ** 2) + 4 / 29,
    )
    x, y, z = root.unbind(dim=1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)
