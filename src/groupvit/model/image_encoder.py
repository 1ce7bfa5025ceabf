"""From pixels to segments: patches, then stages of blocks that end in a grouping block."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from groupvit.model.config import ImageEncoderConfig, StageConfig
from groupvit.model.features import Features
from groupvit.model.grouping import (
    Grouping,
    GroupingBlock,
    HardGrouping,
    SoftGrouping,
    occupied_by_stage,
)
from groupvit.model.layers import MLP, Block, ConvolutionalStem, PatchEmbedding

MakeGrouping = Callable[[ImageEncoderConfig, StageConfig], GroupingBlock]
"""Maker of the grouping block of a stage."""


class PositionEmbedding(nn.Module):
    """Learned vector for every patch, resized to the grid of the image."""

    MAX_CACHED = 16
    """Number of grids whose resized embedding is cached, outside training."""

    def __init__(self, grid: int, dim: int) -> None:
        super().__init__()
        self.grid = grid
        self.weight = nn.Parameter(torch.zeros(1, grid * grid, dim))
        self._stretched: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """State without the cache, whose keys name the weight of this instance."""
        return {**self.__dict__, "_stretched": {}}

    def forward(
        self, tokens: Float[Tensor, "batch token dim"], height: int, width: int
    ) -> Float[Tensor, "batch token dim"]:
        """Tokens of a grid of height x width patches, row by row, with their positions added."""
        moved: Tensor = tokens + self.vectors(height, width)
        return moved

    def vectors(self, height: int, width: int) -> Float[Tensor, "1 token dim"]:
        """Vectors for a grid of height x width patches, row by row; bicubic between the learned."""
        if (height, width) == (self.grid, self.grid):
            return self.weight
        if torch.compiler.is_compiling() or torch.is_grad_enabled() or self.weight.is_inference():
            return self._stretch(height, width)
        key = (height, width, self.weight.data_ptr(), self.weight._version)
        found = self._stretched.get(key)
        if found is None:
            # The weight is kept too: as long as it lives, no other can take its address.
            found = (self.weight.detach(), self._stretch(height, width))
            # A new dictionary takes the place of the old one, which other threads may be reading.
            kept = list(self._stretched.items())[1 - self.MAX_CACHED :]
            self._stretched = {**dict(kept), key: found}
        return found[1]

    def _stretch(self, height: int, width: int) -> Float[Tensor, "1 token dim"]:
        learned = rearrange(
            self.weight, "1 (height width) dim -> 1 dim height width", height=self.grid
        )
        stretched = F.interpolate(learned, (height, width), mode="bicubic", align_corners=False)
        return rearrange(stretched, "1 dim height width -> 1 (height width) dim")


class NoPositions(nn.Module):
    """Stands for a position embedding where the stem makes one unnecessary."""

    def forward(
        self, tokens: Float[Tensor, "batch token dim"], _height: int, _width: int
    ) -> Float[Tensor, "batch token dim"]:
        """The tokens as they are."""
        return tokens


class AcrossTokens(nn.Module):
    """MLP along the token axis, which may change the number of tokens."""

    def __init__(self, mlp: MLP) -> None:
        super().__init__()
        self.mlp = mlp

    def forward(self, x: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch mixed dim"]:
        """Mix the tokens, each channel alike."""
        mixed: Tensor = self.mlp(x.mT).mT
        return mixed


class Stage(nn.Module):
    """Transformer blocks; the last stage of the encoder is nothing more."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, tokens: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """Tokens after all blocks."""
        for block in self.blocks:
            tokens = block(tokens)
        return tokens


class GroupingStage(nn.Module):
    """Transformer blocks over tokens and group tokens together, then a grouping block.

    Args:
        blocks: Transformer blocks.
        group_token: Initial group tokens "1 group_token dim".
        group_projector: Map of the group tokens of the stage before, which add to those of this
            one; None in the first stage.
        grouping: Grouping block.
    """

    def __init__(
        self,
        blocks: Iterable[Block],
        group_token: nn.Parameter,
        group_projector: nn.Module | None,
        grouping: GroupingBlock,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.group_token = group_token
        self.group_projector = group_projector
        self.grouping = grouping

    def forward(
        self,
        tokens: Float[Tensor, "batch token dim"],
        previous: Float[Tensor, "batch previous dim"] | None,
        present: Bool[Tensor, "batch token"] | None,
    ) -> tuple[Float[Tensor, "batch token dim"], Float[Tensor, "batch group_token dim"], Grouping]:
        """Tokens and group tokens after the blocks, and the segments of the tokens.

        Args:
            tokens: Patches, or the segments of the stage before.
            previous: Group tokens of the stage before; None in the first stage.
            present: Tokens that hold anything; None: all.
        """
        group_tokens = self.group_token.expand(tokens.shape[0], -1, -1)
        if self.group_projector is not None:
            group_tokens = group_tokens + self.group_projector(previous)
        mixed = torch.cat([tokens, group_tokens], dim=1)
        for block in self.blocks:
            mixed = block(mixed)
        tokens, group_tokens = mixed[:, : tokens.shape[1]], mixed[:, tokens.shape[1] :]
        return tokens, group_tokens, self.grouping(tokens, group_tokens, present)


def grouping_block(config: ImageEncoderConfig, stage: StageConfig) -> GroupingBlock:
    """Grouping block of a stage, as the settings name it."""
    dim, mlp_ratio = config.dim, config.mlp_ratio
    if config.grouping == "soft":
        return SoftGrouping(dim, mlp_ratio)
    return HardGrouping(
        dim,
        config.num_heads,
        mlp_ratio,
        num_group_tokens=stage.num_group_tokens,
        num_groups=stage.num_groups,
    )


def stem(config: ImageEncoderConfig) -> PatchEmbedding:
    """Stem that makes patch tokens of pixels, as the settings name it."""
    if config.stem == "convolutions":
        return ConvolutionalStem(config.patch_size, config.dim, config.stem_dilations)
    return PatchEmbedding(config.patch_size, config.dim)


class ImageEncoder(nn.Module):
    """Vision transformer whose stages group their tokens (paper, section 3.1).

    Args:
        config: Settings; its stem, positions and stages are built here and nowhere else.
        make_grouping: Maker of the grouping block of each stage, for blocks of your own.
    """

    def __init__(
        self, config: ImageEncoderConfig, *, make_grouping: MakeGrouping = grouping_block
    ) -> None:
        super().__init__()
        self.config = config
        self.patches = stem(config)
        self.positions: PositionEmbedding | NoPositions = (
            PositionEmbedding(config.grid, config.dim) if config.positions else NoPositions()
        )
        self.stages = nn.ModuleList(_stages(config, make_grouping))
        self.norm = nn.LayerNorm(config.dim)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of patches in an image of this size [pixels], padding included."""
        return self.patches.grid(height, width)

    def encode_patches(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch token dim"]:
        """Patches of normalized images, as the first grouping block takes them."""
        features: Features = self(images)
        return features.patches

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Features:
        """Group the pixels of normalized images, of any size, in one pass."""
        tokens = self.positions(self.patches(images), *self.grid(*images.shape[-2:]))
        *grouping_stages, last = self.stages
        mixed: list[Tensor] = []  # tokens of every stage after its blocks
        segments: list[Tensor] = []
        assignments: list[Tensor] = []
        group_tokens, present = None, None
        for stage in grouping_stages:
            tokens, group_tokens, grouping = stage(tokens, group_tokens, present)
            mixed.append(tokens)
            segments.append(grouping.segments)
            assignments.append(grouping.assignment)
            tokens, present = grouping.segments, grouping.present
        mixed.append(last(tokens))
        segments[-1:] = mixed[-1:]  # the last stage mixes the last segments once more
        return Features(
            patches=mixed[0],
            segments=tuple(map(self.norm, segments)),
            assignments=tuple(assignments),
            occupied=occupied_by_stage(assignments),
        )


def _stages(config: ImageEncoderConfig, make_grouping: MakeGrouping) -> Iterator[nn.Module]:
    """Stages from the pixels upwards; the drop rate of the blocks grows linearly from 0."""
    depth = sum(stage.depth for stage in config.stages)
    rates = iter(config.drop_path * index / max(1, depth - 1) for index in range(depth))
    previous = 0
    for stage in config.stages:
        blocks = [
            Block(config.dim, config.num_heads, config.mlp_ratio, drop_path=rate)
            for rate in islice(rates, stage.depth)
        ]
        if stage.num_groups == 0:
            yield Stage(blocks)
            return
        projector = None
        if previous:
            mix = MLP(previous, config.dim // 2, stage.num_group_tokens)
            projector = nn.Sequential(nn.LayerNorm(config.dim), AcrossTokens(mix))
        token = nn.Parameter(torch.zeros(1, stage.num_group_tokens, config.dim))
        yield GroupingStage(blocks, token, projector, make_grouping(config, stage))
        previous = stage.num_group_tokens
