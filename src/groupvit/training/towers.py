"""The model cut in two for training: towers that treat every pair for itself, and heads.

The heads hold everything that lets pairs of a batch know each other: the projectors with their
batch norms, and the temperatures. Whatever crosses between them is an `Encoded`; it may be computed
in pieces and joined, which is all that gradient caching needs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from groupvit.model.grouping import occupied
from groupvit.model.groupvit import MAX_LOGIT_SCALE, GroupViT, mean_embedding, project


class Encoded(NamedTuple):
    """What crosses from the towers to the heads."""

    pooled: Float[Tensor, "batch dim"]
    """The mean of each image's segments."""
    segments: Float[Tensor, "batch group dim"]
    """The segments of the last stage."""
    assignments: tuple[Float[Tensor, "batch _ _"], ...]
    """For every stage that groups, the soft assignment "batch group token"."""
    text: Float[Tensor, "batch text text_dim"]
    """The texts of each image: its caption, then its prompts."""
    tokens: Float[Tensor, "batch token dim"] | None
    """The patches before the first grouping, where the model projects them."""
    earlier: tuple[Float[Tensor, "batch _ dim"], ...]
    """The segments of the stages before, where they are asked for."""

    def tensors(self) -> list[Tensor]:
        """All tensors, always in the same order."""
        patches = [] if self.tokens is None else [self.tokens]
        return [self.pooled, self.segments, *self.assignments, self.text, *patches, *self.earlier]


def join(parts: Sequence[Encoded]) -> Encoded:
    """The encodings of several pieces of a batch as those of the whole."""
    pooled, segments, assignments, text, tokens, earlier = zip(*parts, strict=True)
    stages = zip(*assignments, strict=True)
    without = any(piece is None for piece in tokens)
    return Encoded(
        torch.cat(pooled),
        torch.cat(segments),
        tuple(torch.cat(stage) for stage in stages),
        torch.cat(text),
        None if without else torch.cat(tokens),
        tuple(torch.cat(stage) for stage in zip(*earlier, strict=True)),
    )


class Projected(NamedTuple):
    """What the losses compare."""

    image: Float[Tensor, "batch embedding"]
    """L2-normalized."""
    text: Float[Tensor, "batch text embedding"]
    """The caption, then the prompts of each image; L2-normalized."""
    segments: Float[Tensor, "batch group embedding"] | None
    """Each segment, L2-normalized; None where nothing asks for them."""
    earlier: tuple[Float[Tensor, "batch _ embedding"], ...]
    """Each segment of the stages before, where they are asked for."""
    tokens: Float[Tensor, "batch token embedding"] | None
    """Each patch, L2-normalized, where the model projects them."""
    assignments: tuple[Float[Tensor, "batch _ _"], ...]
    """As in `Encoded`."""
    background: Float[Tensor, " embedding_and_bias"] | None
    """The learned background, where the model has one."""
    logit_scale: Float[Tensor, ""]
    """Inverse temperature of the caption loss."""
    multi_label_logit_scale: Float[Tensor, ""]
    """Inverse temperature of the multi-label loss; the other one if the model has no second."""


class Towers(nn.Module):
    """Both encoders.

    To compile them, compile each encoder: the search for repeated texts depends on the data.
    """

    def __init__(self, model: GroupViT, *, every_stage: bool = False) -> None:
        super().__init__()
        self.every_stage = every_stage
        self.image_encoder = model.image_encoder
        self.text_encoder = model.text_encoder
        self.with_tokens = model.token_projector is not None

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        tokens: Int[Tensor, "batch text position"],
    ) -> Encoded:
        """Encode normalized images and their texts."""
        pooled, segments, assignments, patches, earlier = self.image_encoder(images)
        return Encoded(
            pooled,
            segments,
            assignments,
            self._encode_texts(tokens),
            patches if self.with_tokens else None,
            earlier if self.every_stage else (),
        )

    def _encode_texts(
        self, tokens: Int[Tensor, "batch text position"]
    ) -> Float[Tensor, "batch text text_dim"]:
        """Encode each different text once; prompts repeat, as few nouns name most things."""
        rows = rearrange(tokens, "batch text position -> (batch text) position")
        different, which = torch.unique(rows, dim=0, return_inverse=True)
        # The gradient of plain indexing adds up in any order; that of an embedding in a fixed one.
        text = F.embedding(which, self.text_encoder(different))
        return rearrange(
            text, "(batch text) text_dim -> batch text text_dim", batch=tokens.shape[0]
        )


class Heads(nn.Module):
    """Both projectors and the temperatures.

    Args:
        model: The model whose parts are taken, not copied.
        with_prompts: Whether the texts have prompts. Without them the second temperature is left
            out, for it would never get a gradient, which processes would wait for.
        with_segments: Whether the objective asks for each segment; those that make the image
            embedding are there anyway.
    """

    def __init__(
        self, model: GroupViT, *, with_prompts: bool = True, with_segments: bool = False
    ) -> None:
        super().__init__()
        self.token_projector = model.token_projector
        self.image_projector = model.image_projector
        self.text_projector = model.text_projector
        self.background = model.background
        self.log_scale = model.log_scale
        self.multi_label_log_scale = model.multi_label_log_scale if with_prompts else None
        self.pools_embeddings = model.config.image.pooling == "embeddings"
        self.with_segments = with_segments or self.pools_embeddings

    def forward(self, encoded: Encoded) -> Projected:
        """Project, normalize, and add the temperatures."""
        segments, tokens = None, None
        if self.with_segments:
            segments = project(self.image_projector, encoded.segments)
        if self.token_projector is not None and encoded.tokens is not None:
            tokens = project(self.token_projector, encoded.tokens)
        if self.pools_embeddings and segments is not None:
            image = mean_embedding(segments, occupied(encoded.assignments))
        else:
            image = project(self.image_projector, encoded.pooled)
        scale = _bounded(self.log_scale)
        second = self.multi_label_log_scale
        return Projected(
            image,
            project(self.text_projector, encoded.text),
            segments,
            tuple(project(self.image_projector, stage) for stage in encoded.earlier),
            tokens,
            encoded.assignments,
            self._background(),
            scale,
            scale if second is None else _bounded(second),
        )

    def _background(self) -> Float[Tensor, " embedding_and_bias"] | None:
        if self.background is None:
            return None
        return torch.cat([self.background.weight[0], self.background.bias])


def _bounded(log_scale: Float[Tensor, ""]) -> Float[Tensor, ""]:
    return log_scale.exp().clamp(max=MAX_LOGIT_SCALE)
