"""From images to groups: windows are cut out, and those of equal size are encoded together."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from groupvit.model.config import ImageEncoderConfig
from groupvit.model.inference import Naming
from groupvit.segmentation.groups import GroupedWindow
from groupvit.segmentation.network import Network
from groupvit.segmentation.preparation import normalize, resize, working_size
from groupvit.segmentation.protocol import Protocol
from groupvit.segmentation.windows import Box, boxes


class Crop(NamedTuple):
    """A window cut out of an image."""

    box: Box
    """Position in the resized image [pixels]."""
    pixels: UInt8[Tensor, "3 height width"]
    """RGB, 0 to 255."""


def cut(
    image: UInt8[np.ndarray, "height width 3"], protocol: Protocol, config: ImageEncoderConfig
) -> tuple[tuple[int, int], list[Crop]]:
    """Size (height, width) that the network sees an image at, and its windows.

    Raises:
        InputError: The image is too thin for the protocol.
    """
    height, width, _ = image.shape
    size = working_size(height, width, protocol, config)
    resized = resize(image, size, antialias=protocol.antialias)
    return size, [
        Crop(box, resized[:, *box.slices])
        for box in boxes(*size, window=protocol.window, stride=protocol.stride)
    ]


def encode(
    network: Network,
    crops: Sequence[Crop],
    *,
    naming: Naming,
    border: Literal["fit", "cut"],
    batch_size: int,
) -> list[GroupedWindow]:
    """Group the patches of every window; the result has the order of `crops`.

    Args:
        network: In evaluation mode.
        crops: Windows of any sizes.
        naming: Parts that labels are assigned to: segments, or patches at all levels.
        border: `cut` leaves out the pixels beyond the last whole patch.
        batch_size: Number of windows in a batch.
    """

    def shape(numbered: tuple[int, Crop]) -> torch.Size:
        return numbered[1].pixels.shape

    windows: dict[int, GroupedWindow] = {}
    for _, group in groupby(sorted(enumerate(crops), key=shape), key=shape):
        alike = list(group)
        for start in range(0, len(alike), batch_size):
            indices, batch = zip(*alike[start : start + batch_size], strict=True)
            windows.update(zip(indices, _encode(network, batch, naming, border), strict=True))
    return [windows[index] for index in range(len(crops))]


def _encode(
    network: Network, crops: Sequence[Crop], naming: Naming, border: Literal["fit", "cut"]
) -> list[GroupedWindow]:
    """Encode windows of one size in one pass."""
    pixels = torch.stack([crop.pixels for crop in crops]).to(network.device)
    patch = network.config.image.patch_size
    height, width = pixels.shape[-2:]
    if border == "cut":
        height, width = height // patch * patch, width // patch * patch
        pixels = pixels[:, :, :height, :width]
    by_patch = naming == "levels"
    embedded = network.embed_image(normalize(pixels), num_stages=None if by_patch else 1)
    segments = embedded.segments[-1].float()  # (window, group, embedding)
    named = embedded.patch_embeddings().float() if by_patch else segments
    windows = []
    for index, crop in enumerate(crops):
        window = GroupedWindow(
            box=crop.box,
            grid=(-(-height // patch), -(-width // patch)),
            assignments=tuple(map(itemgetter(index), embedded.assignments)),
            embedding=embedded.image[index].float(),
            segments=segments[index],
            naming=naming,
            naming_embeddings=named[index],
        )
        windows.append(window)
    return windows
