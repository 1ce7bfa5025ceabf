"""Interface of the models that a segmenter uses, in PyTorch or exported."""

import typing

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from groupvit.model.config import GroupViTConfig
from groupvit.model.groupvit import EmbeddedImages


@typing.runtime_checkable
class Network(typing.Protocol):
    """A `GroupViT` or an exported model."""

    @property
    def config(self) -> GroupViTConfig:
        """Architecture."""
        ...

    @property
    def device(self) -> torch.device:
        """Device that the model computes on."""
        ...

    @property
    def logit_scale(self) -> Tensor:
        """Inverse temperature of the similarities."""
        ...

    @property
    def background(self) -> nn.Module | None:
        """Layer that gives the cosine threshold of a part, if it was learned."""
        ...

    def embed_image(
        self, images: Float[Tensor, "batch 3 height width"], *, by_patch: bool
    ) -> EmbeddedImages:
        """Group normalized images and embed them and their parts."""
        ...

    def encode_text(self, tokens: Int[Tensor, "text position"]) -> Float[Tensor, "text embedding"]:
        """Embed texts in the shared space; not normalized."""
        ...
