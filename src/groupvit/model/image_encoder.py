"""From pixels to segments: patches, then stages of blocks that end in a grouping."""

from typing import Any, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from groupvit.model.config import ImageEncoderConfig, StageConfig
from groupvit.model.grouping import Grouping, GroupingBlock
from groupvit.model.layers import MLP, Block, ConvolutionalStem, PatchEmbedding


class EncodedImages(NamedTuple):
    """What the image encoder returns, before any projection."""

    pooled: Float[Tensor, "batch dim"]
    """The mean of the last segments."""
    segments: Float[Tensor, "batch group dim"]
    """The last segments, normalized; tokens, if no stage groups."""
    assignments: tuple[Float[Tensor, "batch _ _"], ...]
    """For every stage that groups, the soft assignment "batch group token" of its tokens."""
    tokens: Float[Tensor, "batch token dim"]
    """The patches as the first grouping finds them."""
    earlier: tuple[Float[Tensor, "batch _ dim"], ...]
    """The segments of every stage that groups but the last of them, normalized too."""


class PositionEmbedding(nn.Module):
    """A learned vector for every patch, stretched to whatever grid an image has."""

    REMEMBERED = 16
    """Grids whose stretched embedding is kept, outside training."""

    def __init__(self, grid: int, dim: int) -> None:
        super().__init__()
        self.grid = grid
        self.weight = nn.Parameter(torch.zeros(1, grid * grid, dim))
        self._stretched: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """A copy remembers nothing: it is another weight's memory that the keys name."""
        return {**self.__dict__, "_stretched": {}}

    def forward(self, height: int, width: int) -> Float[Tensor, "1 token dim"]:
        """Vectors for a grid of height x width patches, row by row; bicubic between the learned."""
        if (height, width) == (self.grid, self.grid):
            return self.weight
        if torch.compiler.is_compiling() or torch.is_grad_enabled() or self.weight.is_inference():
            return self._stretch(height, width)
        key = (height, width, self.weight.data_ptr(), self.weight._version)
        found = self._stretched.get(key)
        if found is None:
            while len(self._stretched) >= self.REMEMBERED:
                self._stretched.pop(next(iter(self._stretched)), None)
            # The weight is kept too: as long as it lives, no other can take its address.
            found = self._stretched[key] = (self.weight.detach(), self._stretch(height, width))
        return found[1]

    def _stretch(self, height: int, width: int) -> Float[Tensor, "1 token dim"]:
        learned = rearrange(
            self.weight, "1 (height width) dim -> 1 dim height width", height=self.grid
        )
        stretched = F.interpolate(learned, (height, width), mode="bicubic", align_corners=False)
        return rearrange(stretched, "1 dim height width -> 1 (height width) dim")


class Staged(NamedTuple):
    """What a stage makes of its tokens."""

    tokens: Float[Tensor, "batch token dim"]
    """The tokens after its blocks."""
    grouping: Grouping | None
    """The segments that they are merged into; None in the last stage."""
    group_tokens: Float[Tensor, "batch group_token dim"] | None
    """The group tokens after its blocks, for the next stage."""


class Stage(nn.Module):
    """Blocks over tokens and group tokens together, then a grouping unless it is the last stage."""

    def __init__(
        self,
        stage: StageConfig,
        config: ImageEncoderConfig,
        *,
        drop_paths: list[float],
        previous_group_tokens: int,
    ) -> None:
        super().__init__()
        dim, heads, ratio = config.dim, config.num_heads, config.mlp_ratio
        self.blocks = nn.ModuleList(Block(dim, heads, ratio, drop_path=p) for p in drop_paths)
        self.group_token: nn.Parameter | None = None
        self.group_projector: nn.Sequential | None = None
        self.grouping: GroupingBlock | None = None
        if stage.num_groups == 0:
            return
        self.group_token = nn.Parameter(torch.zeros(1, stage.num_group_tokens, dim))
        if previous_group_tokens:
            mix = MLP(previous_group_tokens, dim // 2, stage.num_group_tokens)
            self.group_projector = nn.Sequential(nn.LayerNorm(dim), AcrossTokens(mix))
        self.grouping = GroupingBlock(
            dim,
            heads,
            ratio,
            num_group_tokens=stage.num_group_tokens,
            num_groups=stage.num_groups,
            config=config.grouping,
        )

    def forward(
        self,
        tokens: Float[Tensor, "batch token dim"],
        previous: Float[Tensor, "batch previous dim"] | None,
        present: Bool[Tensor, "batch token"] | None,
    ) -> Staged:
        """Mix the tokens and group them; the last stage only mixes."""
        if self.group_token is None or self.grouping is None:
            return Staged(self._mix(tokens), None, None)
        group_tokens = self.group_token.expand(tokens.shape[0], -1, -1)
        if self.group_projector is not None:
            group_tokens = group_tokens + self.group_projector(previous)
        count = tokens.shape[1]
        mixed = self._mix(torch.cat([tokens, group_tokens], dim=1))
        tokens, group_tokens = mixed[:, :count], mixed[:, count:]
        return Staged(tokens, self.grouping(tokens, group_tokens, present), group_tokens)

    def _mix(self, tokens: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        for block in self.blocks:
            tokens = block(tokens)
        return tokens


class AcrossTokens(nn.Module):
    """Applies an MLP along the token axis, so that it may change the number of tokens."""

    def __init__(self, mlp: MLP) -> None:
        super().__init__()
        self.mlp = mlp

    def forward(self, x: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch mixed dim"]:
        """Mix the tokens, each channel alike."""
        mixed: Tensor = self.mlp(x.mT).mT
        return mixed


class ImageEncoder(nn.Module):
    """A vision transformer whose stages group their tokens (paper, section 3.1)."""

    def __init__(self, config: ImageEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.patches = (
            ConvolutionalStem(config.patch_size, config.dim, config.stem_dilations)
            if config.stem == "convolutions"
            else PatchEmbedding(config.patch_size, config.dim)
        )
        self.positions = PositionEmbedding(config.grid, config.dim) if config.positions else None
        depths = [stage.depth for stage in config.stages]
        last = max(1, sum(depths) - 1)
        rates = [config.drop_path * i / last for i in range(sum(depths))]
        previous = [0, *(stage.num_group_tokens for stage in config.stages)]
        self.stages = nn.ModuleList(
            Stage(
                stage,
                config,
                drop_paths=rates[sum(depths[:i]) : sum(depths[: i + 1])],
                previous_group_tokens=previous[i],
            )
            for i, stage in enumerate(config.stages)
        )
        self.norm = nn.LayerNorm(config.dim)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of patches in an image of this size [pixels], its border included."""
        return self.patches.grid(height, width)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> EncodedImages:
        """Group the pixels of normalized images, of any size, in one pass."""
        tokens = self.patches(images)
        if self.positions is not None:
            tokens = tokens + self.positions(*self.grid(*images.shape[-2:]))
        staged: list[Staged] = []
        group_tokens, present = None, None
        for stage in self.stages:
            done = stage(tokens, group_tokens, present)
            staged.append(done)
            if done.grouping is not None:
                tokens, present = done.grouping.segments, done.grouping.occupied
                group_tokens = done.group_tokens
        segments = self.norm(staged[-1].tokens)
        groupings = [done.grouping for done in staged if done.grouping]
        return EncodedImages(
            segments.mean(dim=1),
            segments,
            tuple(grouping.assignment for grouping in groupings),
            staged[0].tokens,
            tuple(self.norm(grouping.segments) for grouping in groupings[:-1]),
        )
