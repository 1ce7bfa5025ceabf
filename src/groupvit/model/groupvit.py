"""The whole model: both encoders, their projectors, and the temperatures."""

from functools import partial
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from groupvit.model.config import TRUNKS, GroupViTConfig, ImageEncoderConfig
from groupvit.model.efficientnet import Middle
from groupvit.model.features import Embedded, Features
from groupvit.model.image_encoder import ImageEncoder, MakeGrouping, grouping_block
from groupvit.model.initialization import INITIAL_LOG_SCALE, init_weights
from groupvit.model.part_encoder import PartEncoder
from groupvit.model.spatial import SpatialBlock
from groupvit.model.text_encoder import TextEncoder

MAX_LOGIT_SCALE = 100.0


class EmbeddedPairs(NamedTuple):
    """Images and their texts in the shared space, and the temperatures of the losses."""

    image: Embedded
    """Images and their parts."""
    text: Float[Tensor, "batch text embedding"]
    """Texts of each image, the caption first, then the prompts; L2-normalized."""
    logit_scale: Float[Tensor, ""]
    """Inverse temperature of the caption loss, at most 100."""
    multi_label_logit_scale: Float[Tensor, ""]
    """Inverse temperature of the losses on nouns; `logit_scale` in a model without its own."""
    background: Float[Tensor, " embedding_and_bias"] | None
    """Weight and bias of the background layer; None in a model without one."""
    spatial: Float[Tensor, " kernel_and_bias"] | None = None
    """Weight of the spatial block; None in a model without one."""


class Projector(nn.Module):
    """Map into the shared space: linear, batch norm, ReLU, linear, and a batch norm if centered.

    ReLU leaves a common mean in all embeddings, so that they begin almost equal. The last batch
    norm, which has no weights, subtracts it.
    """

    def __init__(self, dim: int, hidden: int, out_dim: int, *, centered: bool = False) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.fc2 = nn.Linear(hidden, out_dim)
        self.norm_out = nn.BatchNorm1d(out_dim, affine=False) if centered else nn.Identity()

    def forward(self, x: Float[Tensor, "row dim"]) -> Float[Tensor, "row embedding"]:
        """Project each row; in training the batch norms run over the rows."""
        projected: Tensor = self.norm_out(self.fc2(F.relu(self.norm(self.fc1(x)))))
        return projected


def project(
    projector: nn.Module, x: Float[Tensor, "*axes dim"]
) -> Float[Tensor, "*axes embedding"]:
    """Project each row and L2-normalize it, in float32 at least; batch norms run over all rows."""
    projected: Tensor = projector(x.reshape(-1, x.shape[-1]))
    exact = projected.to(torch.promote_types(projected.dtype, torch.float32))
    return F.normalize(exact, dim=-1).reshape(*x.shape[:-1], -1)


def mean_embedding(
    segments: Float[Tensor, "batch group embedding"], occupied: Bool[Tensor, "batch group"]
) -> Float[Tensor, "batch embedding"]:
    """Normalized mean of the embeddings of the occupied segments."""
    return F.normalize((segments * occupied[..., None]).sum(dim=1), dim=-1)


def bounded_scale(log_scale: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Inverse temperature of a learned logarithm, at most 100."""
    return log_scale.exp().clamp(max=MAX_LOGIT_SCALE)


def patch_projector(config: GroupViTConfig) -> nn.Sequential:
    """Linear map of patch tokens into the shared space, normalized over the batch."""
    return nn.Sequential(
        nn.Linear(config.image.dim, config.embedding_dim),
        nn.BatchNorm1d(config.embedding_dim, affine=False),
    )


def image_encoder(
    config: ImageEncoderConfig, make_grouping: MakeGrouping
) -> ImageEncoder | PartEncoder:
    """Image encoder, as the settings name it."""
    if config.stem in TRUNKS:
        return PartEncoder(config)
    return ImageEncoder(config, make_grouping=make_grouping)


class GroupViT(nn.Module):
    """Images and texts in one space, the images by way of their segments.

    Args:
        config: Architecture.
        make_grouping: Maker of the grouping block of each stage, for blocks of your own; grouping
            by rounds (`PartEncoder`) has no such blocks.
    """

    def __init__(
        self, config: GroupViTConfig, *, make_grouping: MakeGrouping = grouping_block
    ) -> None:
        super().__init__()
        self.config = config
        self.image_encoder = image_encoder(config.image, make_grouping)
        self.text_encoder = TextEncoder(config.text)
        hidden, out_dim = config.projector_dim, config.embedding_dim
        self.image_projector: Projector | None = None
        if config.image.pooling != "patches":
            self.image_projector = Projector(
                config.image.dim, hidden, out_dim, centered=config.centered
            )
        self.text_projector = Projector(config.text.dim, hidden, out_dim, centered=config.centered)
        self.patch_projector: nn.Sequential | None = None
        if config.patch_projector:
            self.patch_projector = patch_projector(config)
        self.background_layer = nn.Linear(out_dim, 1) if config.background_layer else None
        self.spatial_block = SpatialBlock(config.spatial) if config.spatial else None
        self.log_scale = nn.Parameter(torch.tensor(INITIAL_LOG_SCALE))
        self.multi_label_log_scale: nn.Parameter | None = None
        if config.multi_label:
            self.multi_label_log_scale = nn.Parameter(torch.tensor(INITIAL_LOG_SCALE))
        init_weights(self)

    @property
    def logit_scale(self) -> Float[Tensor, ""]:
        """Inverse temperature of the similarities."""
        return bounded_scale(self.log_scale)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.log_scale.device

    @property
    def segment_projector(self) -> nn.Module:
        """Projector of segments: that of the patches in a model whose image is their mean."""
        projector = self.image_projector or self.patch_projector
        assert projector is not None
        return projector

    def patch_grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the embedded patches of an image of this size [pixels]."""
        return self.config.image.patch_grid(height, width)

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"] | Middle,
        tokens: Int[Tensor, "batch text position"],
        *,
        num_stages: int | None = None,
    ) -> EmbeddedPairs:
        """Embed normalized images and the texts of each: its caption, then its prompts.

        Args:
            images: ImageNet mean and standard deviation; or the middle maps of a trunk.
            tokens: Token ids.
            num_stages: See `embed_features`.
        """
        return self.embed(*self.encode(images, tokens), num_stages=num_stages)

    def encode(
        self,
        images: Float[Tensor, "batch 3 height width"] | Middle,
        tokens: Int[Tensor, "batch text position"],
    ) -> tuple[Features, Float[Tensor, "batch text text_dim"]]:
        """Features of images and texts, each pair by itself: no step here sees the whole batch."""
        return self.encode_image(images), self.encode_texts(tokens)

    def encode_texts(
        self, tokens: Int[Tensor, "batch text position"]
    ) -> Float[Tensor, "batch text text_dim"]:
        """Features of the texts of each image; each different text is encoded once.

        Prompts repeat within a batch, as few nouns name most things.
        """
        rows = rearrange(tokens, "batch text position -> (batch text) position")
        if torch.compiler.is_compiling():  # the number of different rows would break the graph
            features = self.text_encoder(rows)
        else:
            different, which = torch.unique(rows, dim=0, return_inverse=True)
            # The gradient of indexing sums in any order, that of an embedding in a fixed one.
            features = F.embedding(which, self.text_encoder(different))
        grouped: Tensor = rearrange(
            features, "(batch text) text_dim -> batch text text_dim", batch=tokens.shape[0]
        )
        return grouped

    def embed(
        self,
        features: Features,
        texts: Float[Tensor, "batch text text_dim"],
        *,
        num_stages: int | None = None,
    ) -> EmbeddedPairs:
        """Project features into the shared space; in training the batch norms see all pairs.

        Args:
            features: Of the images.
            texts: Of their texts.
            num_stages: See `embed_features`.
        """
        scale, own, layer = self.logit_scale, self.multi_label_log_scale, self.background_layer
        return EmbeddedPairs(
            self.embed_features(features, num_stages=num_stages),
            project(self.text_projector, texts),
            scale,
            scale if own is None else bounded_scale(own),
            None if layer is None else torch.cat([layer.weight[0], layer.bias]),
            None if self.spatial_block is None else self.spatial_block.weight.clone(),
        )

    def embed_features(self, features: Features, *, num_stages: int | None = None) -> Embedded:
        """Project images, segments and patches into the shared space.

        Args:
            features: Of the images.
            num_stages: Number of last stages whose segments are embedded; None: all.
        """
        first = 0 if num_stages is None else len(features.segments) - num_stages
        wanted = features.segments[max(first, 0) :]
        # From the last stage backwards: the order in which the batch norm sees them.
        segments = list(map(partial(project, self.segment_projector), reversed(wanted)))[::-1]
        patches = None
        if self.patch_projector is not None:
            patches = project(self.patch_projector, features.patches)
        if patches is not None and self.config.image.pooling == "patches":
            image = F.normalize(patches.mean(dim=1), dim=-1)
        elif self.config.image.pooling == "embeddings":
            image = mean_embedding(segments[-1], features.occupied[-1])
        else:
            image = project(self.segment_projector, features.segments[-1].mean(dim=1))
        return Embedded(image, tuple(segments), patches, features.assignments, features.occupied)

    def encode_image(self, images: Float[Tensor, "batch 3 height width"] | Middle) -> Features:
        """Group normalized images (ImageNet mean and standard deviation) of any size.

        Middle maps of a trunk give patches alone; see `PartEncoder.from_middle`.
        """
        if isinstance(images, Middle):
            assert isinstance(self.image_encoder, PartEncoder)
            return self.image_encoder.from_middle(images.map)
        features: Features = self.image_encoder(images)
        return features

    def embed_image(
        self, images: Float[Tensor, "batch 3 height width"], *, num_stages: int | None = None
    ) -> Embedded:
        """Group normalized images and embed them and their parts; see `embed_features`."""
        return self.embed_features(self.encode_image(images), num_stages=num_stages)

    def embed_patches(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch patch embedding"]:
        """Embed the patches of normalized images of any size; without groups where these cost more.

        Needs a patch projector.
        """
        assert self.patch_projector is not None
        return project(self.patch_projector, self.image_encoder.encode_patches(images))

    def encode_text(self, tokens: Int[Tensor, "text position"]) -> Float[Tensor, "text embedding"]:
        """Project texts into the shared space, not normalized: prompts are averaged before."""
        projected: Tensor = self.text_projector(self.text_encoder(tokens))
        return projected
