"""What a segmenter asks of a model, whatever computes it."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from groupvit.model.config import GroupViTConfig
from groupvit.model.features import Embedded


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
    def background_layer(self) -> nn.Module | None:
        """Learned cosine that a label must exceed, for each part; None: not learned."""
        ...

    def embed_image(
        self, images: Float[Tensor, "batch 3 height width"], *, num_stages: int | None = None
    ) -> Embedded:
        """Group normalized images, and embed them and their parts."""
        ...

    def encode_text(self, tokens: Int[Tensor, "text position"]) -> Float[Tensor, "text embedding"]:
        """Texts in the shared space, not normalized."""
        ...
