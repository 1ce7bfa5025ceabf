"""Start of a training on a pretrained trunk: its weights, and the bases of the cues."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from groupvit.data.config import DataConfig
from groupvit.data.first_images import first_images
from groupvit.data.index import Shard
from groupvit.model.cues import Bases, fit_bases
from groupvit.model.efficientnet import EfficientNetLite, Taps
from groupvit.model.groupvit import GroupViT
from groupvit.model.part_encoder import PartEncoder
from groupvit.segmentation.preparation import normalize
from groupvit.weights import efficientnet

NUM_IMAGES = 256
"""Images that the bases are fitted to."""
AT_ONCE = 32
"""Images that go through the trunk at once."""


def start_from_trunk(model: GroupViT, shards: Sequence[Shard], config: DataConfig) -> None:
    """Give a fresh model its pretrained trunk, and bases of the first images of the shards.

    A model without a trunk stays as it is.

    Args:
        model: On the CPU.
        shards: Shards of the training; without any the bases stay as they are.
        config: Settings of the crops.

    Raises:
        InputError: The weights of the trunk are not installed, or no image can be decoded.
    """
    encoder = model.image_encoder
    if not isinstance(encoder, PartEncoder):
        return
    pretrained = efficientnet.load(encoder.trunk.variant).trunk
    encoder.trunk.load_state_dict(pretrained.state_dict())
    if shards:
        size = encoder.config.image_size
        images = first_images(shards, config, count=NUM_IMAGES, image_size=size)
        encoder.set_bases(bases_of(encoder.trunk, images))


@torch.no_grad()
def bases_of(trunk: EfficientNetLite, images: UInt8[Tensor, "image 3 height width"]) -> Bases:
    """Bases of the cues that are fitted to the maps of these images (RGB, 0 to 255)."""
    found = [_maps(trunk, normalize(some)) for some in torch.split(images, AT_ONCE)]
    taps, coarse = zip(*found, strict=True)
    return fit_bases(Taps(*map(torch.cat, zip(*taps, strict=True))), torch.cat(coarse))


def _maps(
    trunk: EfficientNetLite, images: Float[Tensor, "image 3 height width"]
) -> tuple[Taps, Float[Tensor, "image coarse_dim coarse_height coarse_width"]]:
    taps = trunk.lower(images)
    return taps, trunk.upper(taps.middle).coarse
