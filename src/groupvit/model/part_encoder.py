"""From pixels to parts by a pretrained trunk: patches for words, and groups inside each image.

The trunk is EfficientNet-lite, whose lower half is frozen. Patch tokens on the grid of its middle
map (16 pixels) are linear in the maps of the middle and of the head,

    x = W_h dropout(norm(head)), brought bilinearly to the grid of middle
      + W_m dropout(norm(middle))
    s = GELU(norm(x))

where whole channels are dropped. Groups have no weights: the places of the finest map (8 pixels)
are grouped by rounds into small parts, and these merged to a few (`groupvit.model.rounds`), by the
maps of the trunk, color and place (`groupvit.model.cues`). A segment is the mean token of its part.
"""

from collections.abc import Mapping
from math import isqrt
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from groupvit.model.config import ImageEncoderConfig, Stem
from groupvit.model.cues import (
    AXES,
    MERGED_PARTS,
    SMALL_PARTS,
    Bases,
    Reduced,
    cues,
    interpolated,
    reduced,
    resized,
)
from groupvit.model.efficientnet import HEAD_DIM, EfficientNetLite, Variant, cell_colors
from groupvit.model.features import Features
from groupvit.model.grouping import occupied_by_stage
from groupvit.model.rounds import group_by_rounds, merge, parts

VARIANTS: Mapping[Stem, Variant] = {
    "efficientnet-lite0": "lite0",
    "efficientnet-lite1": "lite1",
    "efficientnet-lite2": "lite2",
}
"""Trunk of each stem."""


def _reduction(dim: int, out_dim: int, dropout: float) -> nn.Sequential:
    """Map of a trunk, normalized over the batch, in fewer channels.

    Args:
        dim: Channels of the map.
        out_dim: Channels of the result.
        dropout: Probability to leave out a channel in training.
    """
    return nn.Sequential(
        nn.BatchNorm2d(dim, affine=False),
        nn.Dropout2d(dropout),
        nn.Conv2d(dim, out_dim, 1, bias=False),
    )


class Ungrouped(NamedTuple):
    """Images as the weights see them, before they are grouped."""

    tokens: Float[Tensor, "batch dim height width"]
    """Patch tokens on the grid of the middle map."""
    maps: Reduced
    """Maps of the trunk for the cues."""


class PartEncoder(nn.Module):
    """Image encoder of a pretrained trunk whose parts are found inside each image.

    Args:
        config: Settings; `stem` names the trunk, the first two stages the numbers of parts.
    """

    basis_fine: Tensor
    basis_middle: Tensor
    basis_coarse: Tensor

    def __init__(self, config: ImageEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = EfficientNetLite(VARIANTS[config.stem])
        self.trunk.lower.requires_grad_(requires_grad=False)
        self.of_head = _reduction(HEAD_DIM, config.dim, config.trunk_dropout)
        self.of_middle = _reduction(self.trunk.middle_dim, config.dim, config.trunk_dropout)
        self.norm = nn.BatchNorm2d(config.dim)
        dims = self.trunk.fine_dim, self.trunk.middle_dim, self.trunk.coarse_dim
        for name, dim, num_axes in zip(Bases._fields, dims, AXES, strict=True):
            # Not torch.eye, which on the meta device imports torch's compiler: a second.
            first = torch.zeros(dim, num_axes)
            first.diagonal().fill_(1)
            self.register_buffer(f"basis_{name}", first)

    def train(self, mode: bool = True) -> "PartEncoder":  # noqa: FBT001, FBT002 - as in torch
        """Set the mode of training; outside of it the trunk has the stride of the settings."""
        self.trunk.upper.set_stride(32 if mode else self.config.trunk_stride)
        return super().train(mode)

    @property
    def bases(self) -> Bases:
        """Bases of the cues; before they are fitted, the first channels of each map."""
        return Bases(self.basis_fine, self.basis_middle, self.basis_coarse)

    def set_bases(self, bases: Bases) -> None:
        """Copy bases, from `groupvit.model.cues.fit_bases`, into the buffers."""
        for own, given in zip(self.bases, bases, strict=True):
            own.copy_(given)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the places that are grouped, in an image of this size [pixels]."""
        size = self.config.patch_size
        return -(-height // size), -(-width // size)

    def patch_grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the patch tokens of an image of this size [pixels]."""
        return self.config.patch_grid(height, width)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Features:
        """Patch tokens of normalized images of any size and, outside of training, their parts.

        No loss needs parts, so that training skips them: see `from_middle`.
        """
        if self.training:
            with torch.no_grad():
                middle = self.trunk.lower(images).middle
            return self.from_middle(middle)
        return grouped(self.ungrouped(images), cell_colors(images), self.config)

    def ungrouped(self, images: Float[Tensor, "batch 3 height width"]) -> Ungrouped:
        """Input of `grouped`, of normalized images of any size; all weights are used here."""
        with torch.no_grad():
            fine = self.trunk.lower.fine_map(images)
            middle = self.trunk.lower.middle(fine)
        upper = self.trunk.upper(middle)
        # In float32 even under autocast: rounding must not decide between groups.
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            maps = reduced(fine, middle, upper.coarse, self.bases)
        return Ungrouped(self._tokens(middle, upper.head), maps)

    def encode_patches(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch token dim"]:
        """Patch tokens of normalized images, which need no parts."""
        return self.from_middle(self.trunk.lower(images).middle).patches

    def from_middle(self, middle: Float[Tensor, "batch middle_dim height width"]) -> Features:
        """Patch tokens alone, of middle maps of the lower half, such as cached ones."""
        exact = middle.to(torch.promote_types(middle.dtype, torch.float32))
        tokens = self._tokens(exact, self.trunk.upper(exact).head)
        return Features(_rows(tokens), segments=(), assignments=(), occupied=())

    def _tokens(
        self,
        middle: Float[Tensor, "batch middle_dim height width"],
        head: Float[Tensor, "batch 1280 head_height head_width"],
    ) -> Float[Tensor, "batch dim height width"]:
        """Patch tokens on the grid of the middle map."""
        height, width = middle.shape[-2:]
        mixed = interpolated(self.of_head(head), (height, width)) + self.of_middle(middle)
        return F.gelu(self.norm(mixed))


@torch.no_grad()
def grouped(
    found: Ungrouped, colors: Float[Tensor, "batch 3 rows columns"], config: ImageEncoderConfig
) -> Features:
    """Patch tokens with the parts of both stages; no weights are used.

    Args:
        found: See `PartEncoder.ungrouped`.
        colors: See `groupvit.model.efficientnet.cell_colors`.
        config: Settings; the first two stages name the numbers of parts.
    """
    first, second = (stage.num_groups for stage in config.stages[:2])
    grid = found.maps.fine.shape[-2], found.maps.fine.shape[-1]
    tokens = found.tokens
    with torch.autocast(tokens.device.type, enabled=False):
        compared = cues(found.maps, colors)
        small = group_by_rounds(compared.weighted(SMALL_PARTS), grid, seeds=isqrt(first))
        joined = merge(*parts(compared.weighted(MERGED_PARTS), small), second)
        exact = tokens.to(torch.promote_types(tokens.dtype, torch.float32))
        places = _rows(resized(exact, grid))
        chained = small.to(places.dtype), (joined @ small).to(places.dtype)
        return Features(
            patches=_rows(tokens),
            segments=tuple(parts(places, assignment).means for assignment in chained),
            assignments=(small, joined),
            occupied=occupied_by_stage((small, joined)),
        )


def _rows(features: Float[Tensor, "batch dim height width"]) -> Float[Tensor, "batch token dim"]:
    """Places of a map as tokens, row by row."""
    return rearrange(features, "batch dim height width -> batch (height width) dim")
