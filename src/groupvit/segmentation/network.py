"""Interface of the models that a segmenter uses, in PyTorch or exported."""

import hashlib
import typing

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from groupvit.exported.network import ExportedNetwork
from groupvit.model.config import GroupViTConfig
from groupvit.model.features import Embedded
from groupvit.model.groupvit import GroupViT
from groupvit.weights.digest import raw


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
    def background_layer(self) -> nn.Module | None:
        """Layer that gives the cosine threshold of a part; None: it was not learned."""
        ...

    @property
    def spatial_block(self) -> nn.Module | None:
        """Convolution of the similarities to labels; None: the model has none."""
        ...

    def patch_grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the embedded patches of an image of this size [pixels]."""
        ...

    def embed_image(
        self, images: Float[Tensor, "batch 3 height width"], *, num_stages: int | None = None
    ) -> Embedded:
        """Group normalized images and embed them, their patches and their segments.

        Args:
            images: Normalized colors.
            num_stages: Number of last stages whose segments are embedded; None: all.
        """
        ...

    def embed_patches(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch patch embedding"]:
        """Embed the patches of normalized images alone; they are L2-normalized."""
        ...

    def encode_text(self, tokens: Int[Tensor, "text position"]) -> Float[Tensor, "text embedding"]:
        """Embed texts in the shared space; not normalized."""
        ...


def fingerprint(network: Network) -> str:
    """Digest of architecture and weights: 16 hexadecimal digits."""
    if isinstance(network, ExportedNetwork):
        return network.fingerprint()
    assert isinstance(network, GroupViT)
    digest = hashlib.sha256(repr(network.config).encode())
    for name, values in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(raw(values))
    return digest.hexdigest()[:16]
