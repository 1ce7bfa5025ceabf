"""The whole model: both encoders, their projectors, and the temperature."""

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from groupvit.model.config import GroupViTConfig
from groupvit.model.grouping import occupied
from groupvit.model.image_encoder import ImageEncoder
from groupvit.model.initialization import INITIAL_LOG_SCALE, init_weights
from groupvit.model.text_encoder import TextEncoder

MAX_LOGIT_SCALE = 100.0


class ImageFeatures(NamedTuple):
    """Everything that one pass over images gives."""

    embedding: Float[Tensor, "batch embedding"]
    """The image in the space shared with text, L2-normalized."""
    segments: Float[Tensor, "batch group dim"]
    """The segments of the last stage, before any projection."""
    assignments: tuple[Float[Tensor, "batch _ _"], ...]
    """For every stage that groups, its soft assignment "batch group token"."""
    tokens: Float[Tensor, "batch token dim"]
    """The patches before the first grouping."""
    earlier: tuple[Float[Tensor, "batch _ dim"], ...]
    """The segments of the stages before the last that groups, before any projection."""


class EmbeddedImages(NamedTuple):
    """Images and their parts in the space shared with text: what a segmenter asks for."""

    embedding: Float[Tensor, "batch embedding"]
    """The whole image, L2-normalized."""
    segments: Float[Tensor, "batch group embedding"]
    """The last segments, L2-normalized."""
    patches: Float[Tensor, "batch token embedding"] | None
    """What speaks at each patch, if that was asked for."""
    assignments: tuple[Float[Tensor, "batch _ _"], ...]
    """For every stage that groups, its soft assignment "batch group token"."""


class Embeddings(NamedTuple):
    """Images and their texts in the shared space."""

    image: Float[Tensor, "batch embedding"]
    """L2-normalized."""
    text: Float[Tensor, "batch caption embedding"]
    """L2-normalized."""
    logit_scale: Float[Tensor, ""]
    """Inverse temperature, at most 100."""


class Projector(nn.Module):
    """Into the shared space: linear, batch norm, ReLU, linear, and a batch norm if centered.

    ReLU leaves a common mean in all embeddings, and with it they begin almost equal. The last
    batch norm, which has no weights, takes it away.
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
    """Project each row and normalize it, in float32 at least; batch norms run over all rows."""
    projected: Tensor = projector(x.reshape(-1, x.shape[-1]))
    exact = projected.to(torch.promote_types(projected.dtype, torch.float32))
    return F.normalize(exact, dim=-1).reshape(*x.shape[:-1], -1)


def mean_embedding(
    segments: Float[Tensor, "batch group embedding"], occupied: Bool[Tensor, "batch group"]
) -> Float[Tensor, "batch embedding"]:
    """The normalized mean of the embedded segments that hold any token."""
    return F.normalize((segments * occupied[..., None]).sum(dim=1), dim=-1)


def scale_of(log_scale: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Inverse temperature, at most 100."""
    return log_scale.exp().clamp(max=MAX_LOGIT_SCALE)


class GroupViT(nn.Module):
    """Images and texts in one space, the images by way of their segments."""

    def __init__(self, config: GroupViTConfig) -> None:
        super().__init__()
        self.config = config
        self.image_encoder = ImageEncoder(config.image)
        self.text_encoder = TextEncoder(config.text)
        hidden, out_dim = config.projector_dim, config.embedding_dim
        self.image_projector = Projector(
            config.image.dim, hidden, out_dim, centered=config.centered
        )
        self.text_projector = Projector(config.text.dim, hidden, out_dim, centered=config.centered)
        self.token_projector: nn.Sequential | None = None
        if config.token_projector:
            self.token_projector = nn.Sequential(
                nn.Linear(config.image.dim, out_dim), nn.BatchNorm1d(out_dim, affine=False)
            )
        self.background = nn.Linear(out_dim, 1) if config.background else None
        self.log_scale = nn.Parameter(torch.tensor(INITIAL_LOG_SCALE))
        self.multi_label_log_scale: nn.Parameter | None = None
        if config.multi_label:
            self.multi_label_log_scale = nn.Parameter(torch.tensor(INITIAL_LOG_SCALE))
        init_weights(self)

    @property
    def logit_scale(self) -> Float[Tensor, ""]:
        """Inverse temperature of the similarities."""
        return scale_of(self.log_scale)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.log_scale.device

    def encode_image(self, images: Float[Tensor, "batch 3 height width"]) -> ImageFeatures:
        """Embed and group normalized images (ImageNet mean and deviation) of any size."""
        pooled, segments, assignments, tokens, earlier = self.image_encoder(images)
        if self.config.image.pooling == "embeddings":
            embedding = mean_embedding(self.embed_segments(segments), occupied(assignments))
        else:
            embedding = F.normalize(self.image_projector(pooled), dim=-1)
        return ImageFeatures(embedding, segments, assignments, tokens, earlier)

    def embed_image(
        self, images: Float[Tensor, "batch 3 height width"], *, by_patch: bool
    ) -> EmbeddedImages:
        """Group normalized images, and embed them and their segments.

        Args:
            images: ImageNet mean and deviation, of any size.
            by_patch: Whether to embed what speaks at each patch, too.
        """
        features = self.encode_image(images)
        return EmbeddedImages(
            features.embedding,
            self.embed_segments(features.segments),
            self.embed_patches(features) if by_patch else None,
            features.assignments,
        )

    def encode_text(self, tokens: Int[Tensor, "text position"]) -> Float[Tensor, "text embedding"]:
        """Project texts into the shared space, not normalized: prompts are averaged before."""
        projected: Tensor = self.text_projector(self.text_encoder(tokens))
        return projected

    def embed_segments(
        self, segments: Float[Tensor, "batch group dim"]
    ) -> Float[Tensor, "batch group embedding"]:
        """Each segment in the space shared with text, L2-normalized."""
        return project(self.image_projector, segments)

    def embed_patches(self, features: ImageFeatures) -> Float[Tensor, "batch token embedding"]:
        """What speaks at each patch, on average over the levels: itself, and its segments.

        Its similarity to a word is the mean of theirs. A patch itself speaks where the model has a
        projector for patches; of the segments of a stage each speaks as far as it holds the patch.
        Without any grouping the segments are the patches.
        """
        if not features.assignments:
            return self.embed_segments(features.segments)
        voices, shares = [], None
        if self.token_projector is not None:
            voices.append(project(self.token_projector, features.tokens))
        stages = *features.earlier, features.segments
        for segments, assignment in zip(stages, features.assignments, strict=True):
            shares = assignment if shares is None else assignment @ shares
            voices.append(shares.mT @ self.embed_segments(segments).to(shares.dtype))
        return torch.stack(voices).mean(dim=0)

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        tokens: Int[Tensor, "batch caption position"],
    ) -> Embeddings:
        """Embed images, and the captions and prompts that belong to each."""
        texts = self.encode_text(
            rearrange(tokens, "batch caption position -> (batch caption) position")
        )
        return Embeddings(
            self.encode_image(images).embedding,
            rearrange(
                F.normalize(texts, dim=-1),
                "(batch caption) embedding -> batch caption embedding",
                batch=tokens.shape[0],
            ),
            self.logit_scale,
        )
