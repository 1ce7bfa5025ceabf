"""The architecture of a GroupViT as typed settings; the defaults are the released model."""

import math
from dataclasses import dataclass, field
from typing import Literal

Naming = Literal["segments", "levels"]


def _check_positive(**numbers: int | float) -> None:
    for name, number in numbers.items():
        if not 0 < number < math.inf:
            raise ValueError(f"{name} is {number}; it must be positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """One stage of the image encoder: blocks, then (but for the last stage) a grouping."""

    depth: int
    """Transformer blocks; 0 in the last stage leaves the segments as they were grouped."""
    num_group_tokens: int = 0
    """Learned group tokens that stand beside the tokens; 0 in the last stage."""
    num_groups: int = 0
    """Segments that the stage merges its tokens into; 0 in the last stage."""

    def __post_init__(self) -> None:
        """Check that the numbers describe a stage."""
        if self.depth < 0:
            raise ValueError(f"depth is {self.depth}; give 0 blocks or more")
        if min(self.num_group_tokens, self.num_groups) < 0:
            raise ValueError("num_group_tokens and num_groups cannot be negative")
        if (self.num_group_tokens == 0) != (self.num_groups == 0):
            raise ValueError(
                f"num_group_tokens is {self.num_group_tokens} and num_groups {self.num_groups}; "
                "a stage that groups needs both, the last stage neither"
            )


RELEASED_TOKEN_STD = 0.02
RELEASED_STAGES = (
    StageConfig(depth=6, num_group_tokens=64, num_groups=64),
    StageConfig(depth=3, num_group_tokens=8, num_groups=8),
    StageConfig(depth=3),
)
ONE_STAGE = (StageConfig(depth=6, num_group_tokens=64, num_groups=8), StageConfig(depth=6))
"""The paper's one-stage ablation (Tables 1 to 3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingConfig:
    """How every grouping block assigns tokens to groups; the defaults are the paper's.

    The other values keep a group from seeing the image but through the tokens that it takes;
    docs/grouping.md says why, and how to measure what each is worth.
    """

    assignment: Literal["hard", "soft"] = "hard"
    """Hard: one group takes a token whole, straight-through gradient, Gumbel noise in training."""
    noise: bool = True
    """Whether the hard assignment draws Gumbel noise in training."""
    similarity: Literal["dot", "cosine", "centered"] = "dot"
    """Of query and key: their scaled dot product; 10 times their cosine, which no token can
    outgrow; or that after the means over an image's tokens and over the groups are taken off, so
    that no group is near to all tokens."""
    look: bool = True
    """Whether groups look at all tokens by cross attention before they take some."""
    residual: bool = True
    """Whether a segment is its group plus what the group took, or only what it took."""
    mix: bool = True
    """Whether an MLP across the group tokens makes the groups, or they are the groups."""
    token_std: float = RELEASED_TOKEN_STD
    """Deviation that the group tokens are drawn with; patches have about 1."""

    def __post_init__(self) -> None:
        """Check that the deviation is one."""
        _check_positive(token_std=self.token_std)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEncoderConfig:
    """The vision transformer with grouping."""

    image_size: int = 224
    """Height and width of the training images [pixels]; it sets the grid of the positions."""
    segment_size: int | None = None
    """Shorter side at which segmentation works best [pixels]; None: twice image_size."""
    patch_size: int = 16
    """Height and width of a patch [pixels]."""
    dim: int = 384
    """Width of the tokens in every stage."""
    num_heads: int = 6
    """Heads of the self and cross attention; the assignment itself has one."""
    mlp_ratio: float = 4.0
    """Hidden width of the MLPs, in multiples of dim."""
    drop_path: float = 0.1
    """Probability to skip the last block in training; it grows linearly from 0 at the first."""
    stem: Literal["patches", "convolutions"] = "patches"
    """What makes tokens of pixels: one linear map of each patch, or strided convolutions."""
    stem_dilations: tuple[int, ...] = (1, 1)
    """Of convolutions, once the grid is reached: how far apart the taps of each lie [patches]."""
    positions: bool = True
    """Whether tokens are told where they stand."""
    grouping: GroupingConfig = field(default_factory=GroupingConfig)
    """How tokens are assigned to groups."""
    pooling: Literal["tokens", "embeddings"] = "tokens"
    """Image embedding: the projected mean of the segments, or the mean of the projected,
    normalized segments that hold any token."""
    stages: tuple[StageConfig, ...] = RELEASED_STAGES
    """The stages from the pixels upwards."""

    def __post_init__(self) -> None:
        """Check that the parts fit each other."""
        _check_positive(
            image_size=self.image_size,
            segment_size=2 * self.image_size if self.segment_size is None else self.segment_size,
            patch_size=self.patch_size,
            dim=self.dim,
            num_heads=self.num_heads,
            mlp_ratio=self.mlp_ratio,
        )
        if not 0 <= self.drop_path < 1:
            raise ValueError(f"drop_path is {self.drop_path}; it is a probability below 1")
        if not self.stages or self.stages[-1].num_groups:
            raise ValueError("stages must end in a stage without group tokens")
        if any(stage.num_groups == 0 for stage in self.stages[:-1]):
            raise ValueError("every stage but the last needs num_group_tokens and num_groups")
        if self.image_size % self.patch_size:
            raise ValueError(
                f"image_size {self.image_size} is no multiple of patch_size {self.patch_size}"
            )
        if self.dim % self.num_heads:
            raise ValueError(f"dim {self.dim} cannot be shared by {self.num_heads} heads")
        if self.stem == "convolutions" and self.patch_size.bit_count() != 1:
            raise ValueError(
                f"patch_size {self.patch_size} is no power of 2, as strided convolutions need"
            )
        _check_positive(**{f"stem_dilations[{i}]": d for i, d in enumerate(self.stem_dilations)})
        unequal = any(stage.num_group_tokens != stage.num_groups for stage in self.stages)
        if unequal and not self.grouping.mix:
            raise ValueError("without mix a stage needs as many group tokens as groups")

    @property
    def grid(self) -> int:
        """Patches along each side of a training image."""
        return self.image_size // self.patch_size


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEncoderConfig:
    """The causal transformer over byte-pair tokens."""

    vocabulary_size: int = 49408
    """Token ids; the highest one is the end-of-text token."""
    context_length: int = 77
    """Longest text [tokens], start and end included."""
    dim: int = 256
    """Width of the tokens."""
    depth: int = 12
    """Transformer blocks."""
    num_heads: int = 4
    """Heads of the self attention."""
    mlp_ratio: float = 4.0
    """Hidden width of the MLPs, in multiples of dim."""

    def __post_init__(self) -> None:
        """Check that the heads share the width."""
        _check_positive(
            vocabulary_size=self.vocabulary_size,
            context_length=self.context_length,
            dim=self.dim,
            depth=self.depth,
            num_heads=self.num_heads,
            mlp_ratio=self.mlp_ratio,
        )
        if self.dim % self.num_heads:
            raise ValueError(f"dim {self.dim} cannot be shared by {self.num_heads} heads")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupViTConfig:
    """The whole model. `GroupViTConfig()` is the released architecture."""

    image: ImageEncoderConfig = field(default_factory=ImageEncoderConfig)
    """The image encoder."""
    text: TextEncoderConfig = field(default_factory=TextEncoderConfig)
    """The text encoder."""
    embedding_dim: int = 256
    """Width of the space where images, segments and texts meet."""
    projector_dim: int = 4096
    """Hidden width of both projectors."""
    multi_label: bool = True
    """Whether the model carries a temperature of its own for the multi-label loss."""
    centered: bool = False
    """Whether the projectors end in a batch norm, which keeps embeddings from crowding together."""
    token_projector: bool = False
    """Whether patches too have a projector into the shared space."""
    background: bool = False
    """Whether the model learns how near a word must be to a part of an image to be seen there."""
    naming: Naming = "segments"
    """What takes the words: the last segments, as in the paper; or every patch by the mean of its
    own embedding, where patches have a projector, and those of its segments at every level. The
    levels want a training that has taught them all (objective.every_stage)."""

    def __post_init__(self) -> None:
        """Check that the widths are positive."""
        _check_positive(embedding_dim=self.embedding_dim, projector_dim=self.projector_dim)
