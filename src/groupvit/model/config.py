"""The architecture of a GroupViT as typed settings; the defaults are the released model."""

import math
from dataclasses import dataclass, field
from typing import Literal

MAX_STAGES, MAX_DEPTH = 16, 512
"""Largest numbers of stages, and of transformer blocks in one encoder."""
MAX_SIZE = 2**20
"""Largest width, and largest number of tokens, ids or pixels along a side."""
MAX_MLP_RATIO = 1024
MAX_SPATIAL_DEPTH = 8
MAX_PARAMETERS = 2**33
"""Largest network; the weights of this one take 32 GB."""
Stem = Literal[
    "patches", "convolutions", "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"
]
"""Stem of the image encoder; the last three are pretrained trunks."""
TRUNKS: tuple[Stem, ...] = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
"""Stems that are pretrained trunks."""
CELL, TRUNK_PATCH = 8, 16
"""Sides of the squares that parts are made of, and that patches stand for, behind a trunk
[pixels]."""
TRUNK_WEIGHTS = 5_000_000
"""Weights of the largest trunk, rounded up."""


def _check_at_most(largest: int, **numbers: int | float) -> None:
    for name, number in numbers.items():
        if not number <= largest:
            shown = f"{number:.3g}" if number > 1e9 else number
            raise ValueError(f"{name} is {shown}; it can be {largest} at most")


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
        _check_at_most(MAX_DEPTH, depth=self.depth)
        _check_at_most(MAX_SIZE, num_group_tokens=self.num_group_tokens, num_groups=self.num_groups)
        if self.depth < 0:
            raise ValueError(f"depth is {self.depth}; give 0 blocks or more")
        if min(self.num_group_tokens, self.num_groups) < 0:
            raise ValueError("num_group_tokens and num_groups cannot be negative")
        if (self.num_group_tokens == 0) != (self.num_groups == 0):
            raise ValueError(
                f"num_group_tokens is {self.num_group_tokens} and num_groups {self.num_groups}; "
                "a stage that groups needs both, the last stage neither"
            )


RELEASED_STAGES = (
    StageConfig(depth=6, num_group_tokens=64, num_groups=64),
    StageConfig(depth=3, num_group_tokens=8, num_groups=8),
    StageConfig(depth=3),
)
ONE_STAGE = (StageConfig(depth=6, num_group_tokens=64, num_groups=8), StageConfig(depth=6))
"""The paper's one-stage ablation (Tables 1 to 3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEncoderConfig:
    """The vision transformer with grouping."""

    image_size: int = 224
    """Height and width of the training images [pixels]; it sets the grid of the positions."""
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
    stem: Stem = "patches"
    """Stem that makes tokens of pixels: one linear map of each patch, strided convolutions, or a
    pretrained trunk, which goes with the grouping `rounds`."""
    stem_dilations: tuple[int, ...] = (1, 1)
    """Dilations of the convolutions at the resolution of the patch grid [patches]."""
    trunk_dropout: float = 0.0
    """Probability to leave out a channel of the maps of a pretrained trunk in training."""
    trunk_stride: Literal[16, 32] = 32
    """Stride of the last maps of a pretrained trunk outside of training [pixels]: 32, or, by
    dilation and with the same weights, 16. Training takes 32, at a quarter of the cost."""
    positions: bool = True
    """Add a learned position embedding to the patch tokens."""
    grouping: Literal["hard", "soft", "rounds"] = "hard"
    """Grouping block: the paper's (hard assignment), or that of the recipe `levels` (soft); or
    grouping inside each image, without weights, of the maps of a pretrained trunk."""
    pooling: Literal["tokens", "embeddings", "patches"] = "tokens"
    """Image embedding: the projection of the mean segment, or the mean of the embeddings of the
    occupied segments, or that of the patches, which goes with the grouping `rounds`."""
    stages: tuple[StageConfig, ...] = RELEASED_STAGES
    """The stages from the pixels upwards."""

    def __post_init__(self) -> None:
        """Check that the parts fit each other."""
        _check_positive(
            image_size=self.image_size,
            patch_size=self.patch_size,
            dim=self.dim,
            num_heads=self.num_heads,
            mlp_ratio=self.mlp_ratio,
        )
        _check_at_most(MAX_SIZE, image_size=self.image_size, dim=self.dim)
        _check_at_most(MAX_MLP_RATIO, mlp_ratio=self.mlp_ratio)
        _check_at_most(MAX_STAGES, number_of_stages=len(self.stages))
        _check_at_most(MAX_DEPTH, depth=sum(stage.depth for stage in self.stages))
        _check_at_most(MAX_STAGES, number_of_stem_dilations=len(self.stem_dilations))
        _check_at_most(MAX_SIZE, stem_dilations=max(self.stem_dilations, default=1))
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
        if self.dim % self.num_heads and self.grouping != "rounds":
            raise ValueError(f"dim {self.dim} cannot be shared by {self.num_heads} heads")
        if self.stem == "convolutions" and self.patch_size.bit_count() != 1:
            raise ValueError(
                f"patch_size {self.patch_size} is no power of 2, as strided convolutions need"
            )
        _check_positive(**{f"stem_dilations[{i}]": d for i, d in enumerate(self.stem_dilations)})
        unequal = any(stage.num_group_tokens != stage.num_groups for stage in self.stages)
        if unequal and self.grouping == "soft":
            raise ValueError(
                "the soft grouping block needs num_group_tokens equal to num_groups in every stage"
            )
        self._check_trunk()

    def _check_trunk(self) -> None:
        """Refuse a trunk without grouping by rounds, and the reverse."""
        if not 0 <= self.trunk_dropout < 1:
            raise ValueError(f"trunk_dropout is {self.trunk_dropout}; it is a probability below 1")
        if (self.stem in TRUNKS) != (self.grouping == "rounds"):
            raise ValueError(
                f"stem is {self.stem!r} and grouping {self.grouping!r}; a pretrained trunk "
                f"({', '.join(TRUNKS)}) goes with grouping 'rounds', and no other stem does"
            )
        if (self.pooling == "patches") != (self.grouping == "rounds"):
            raise ValueError(
                f"pooling is {self.pooling!r} and grouping {self.grouping!r}; pooling 'patches' "
                "goes with grouping 'rounds', and no other pooling does"
            )
        if self.grouping == "rounds":
            self._check_rounds()
        elif self.trunk_dropout or self.trunk_stride != 32:
            raise ValueError(
                f"trunk_dropout is {self.trunk_dropout} and trunk_stride {self.trunk_stride}, but "
                "there is no trunk; leave them out"
            )

    def _check_rounds(self) -> None:
        """Refuse what grouping by rounds cannot do."""
        if self.positions:
            raise ValueError("positions is True, but a trunk needs none; set it to False")
        if self.patch_size != CELL:
            raise ValueError(f"patch_size is {self.patch_size}; behind a trunk it is {CELL}")
        numbers = [stage.num_groups for stage in self.stages]
        plain = all(
            stage.depth == 0 and stage.num_group_tokens == stage.num_groups for stage in self.stages
        )
        if not plain or len(numbers) != 3 or math.isqrt(numbers[0]) ** 2 != numbers[0]:
            raise ValueError(
                "grouping 'rounds' needs two stages that group and the last, all of depth 0, with "
                "num_group_tokens equal to num_groups, and a square number in the first, such as "
                "49, 8 and 0"
            )
        if numbers[1] > numbers[0]:
            raise ValueError(f"{numbers[0]} groups cannot be merged to {numbers[1]}")

    @property
    def grid(self) -> int:
        """Patches along each side of a training image."""
        return self.image_size // self.patch_size

    @property
    def embedded_patch_size(self) -> int:
        """Side of the squares that patch embeddings stand for [pixels].

        A stem may embed larger squares than those that the first stage groups.
        """
        return TRUNK_PATCH if self.stem in TRUNKS else self.patch_size

    def patch_grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the embedded patches of an image of this size [pixels]."""
        size = self.embedded_patch_size
        return -(-height // size), -(-width // size)

    @property
    def num_weights(self) -> int:
        """Weights of the patches, positions and group tokens, and of the matrices of the blocks."""
        if self.stem in TRUNKS:
            return TRUNK_WEIGHTS + 1500 * self.dim  # 1,280 and some hundred channels
        block = self.dim**2 * (4 + 2 * self.mlp_ratio)
        depth = sum(stage.depth for stage in self.stages) + len(self.stages)
        tokens = sum(stage.num_group_tokens for stage in self.stages)
        return self.dim * (self.grid**2 + 3 * self.patch_size**2 + tokens) + int(depth * block)


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
        _check_at_most(
            MAX_SIZE,
            vocabulary_size=self.vocabulary_size,
            context_length=self.context_length,
            dim=self.dim,
        )
        _check_at_most(MAX_DEPTH, depth=self.depth)
        _check_at_most(MAX_MLP_RATIO, mlp_ratio=self.mlp_ratio)
        if self.dim % self.num_heads:
            raise ValueError(f"dim {self.dim} cannot be shared by {self.num_heads} heads")

    @property
    def num_weights(self) -> int:
        """Weights of the embeddings and of the large matrices of the blocks."""
        block = self.dim**2 * (4 + 2 * self.mlp_ratio)
        return self.dim * (self.vocabulary_size + self.context_length) + int(self.depth * block)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpatialConfig:
    """Spatial regularization of the similarities to labels; see `groupvit.model.spatial`."""

    kind: Literal["depthwise", "bottleneck"] = "bottleneck"
    """Convolution alone, or with the maximum over the labels added."""
    depth: int = 1
    """Number of times that the convolution is repeated, 1 to 8, with the same weights."""
    activation: Literal["relu", "leaky_relu", "tanh"] = "relu"
    """Activation between repetitions."""

    def __post_init__(self) -> None:
        """Check the depth."""
        if not 1 <= self.depth <= MAX_SPATIAL_DEPTH:
            raise ValueError(f"depth is {self.depth}; give 1 to {MAX_SPATIAL_DEPTH}")


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
    """Learn a temperature of its own for the multi-label loss."""
    centered: bool = False
    """End the projectors in a batch norm without weights, which keeps embeddings apart."""
    patch_projector: bool = False
    """Project patches, too, into the space shared with text."""
    background_layer: bool = False
    """Carry a learned background layer: the cosine that a label must exceed, for each part."""
    spatial: SpatialConfig | None = None
    """Regularize the similarities of patches to labels by a convolution that masks train; None: not
    at all."""

    def __post_init__(self) -> None:
        """Check that the widths are positive."""
        _check_positive(embedding_dim=self.embedding_dim, projector_dim=self.projector_dim)
        if self.image.pooling == "patches" and not self.patch_projector:
            raise ValueError("image.pooling is 'patches', which needs patch_projector; set it too")
        _check_at_most(MAX_SIZE, embedding_dim=self.embedding_dim, projector_dim=self.projector_dim)
        widths = self.image.dim + self.text.dim + 2 * self.embedding_dim
        projectors = self.projector_dim * widths
        number = self.image.num_weights + self.text.num_weights + projectors
        if number > MAX_PARAMETERS:
            raise ValueError(
                f"the sizes make a network of {number:.2g} parameters; {MAX_PARAMETERS:.2g} are "
                "the most"
            )
