"""What a segmenter asks of a model, whatever computes it."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from groupvit.model.config import GroupViTConfig
from groupvit.model.groupvit import EmbeddedImages


@runtime_checkable
class Network(Protocol):
    """A `GroupViT`, or an exported model."""

    @property
    def config(self) -> GroupViTConfig:
        """The architecture."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    @property
    def logit_scale(self) -> Tensor:
        """Inverse temperature of the similarities."""
        ...

    @property
    def background(self) -> nn.Module | None:
        """How near a word must be, for each part, if that was learned."""
        ...

    def embed_image(
        self, images: Float[Tensor, "batch 3 height width"], *, by_patch: bool
    ) -> EmbeddedImages:
        """Group normalized images, and embed them and their parts."""
        ...

    def encode_text(self, tokens: Int[Tensor, "text position"]) -> Float[Tensor, "text embedding"]:
        """Texts in the shared space, not normalized."""
        ...
