"""From images to groups: windows are cut out, and those of equal size go through together."""

from collections.abc import Iterator, Sequence
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
    """Where it lies in the resized image [pixels]."""
    pixels: UInt8[Tensor, "3 height width"]
    """RGB, 0 to 255."""


def cut(
    image: UInt8[np.ndarray, "height width 3"], protocol: Protocol, config: ImageEncoderConfig
) -> tuple[tuple[int, int], list[Crop]]:
    """The size at which the network sees an image, and the windows of it.

    Raises:
        InputError: The image is too thin for the protocol.
    """
    height, width, _ = image.shape
    size = working_size(height, width, protocol, config)
    resized = resize(image, size, antialias=protocol.antialias)
    return size, [
        Crop(box, resized[:, box.rows, box.columns])
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
    """The groups of every window, in their order: one pass for each.

    Args:
        network: In evaluation mode.
        crops: Windows of any sizes.
        naming: Parts that are compared with the labels.
        border: With `cut`, what is no whole patch is left out.
        batch_size: Windows that go through at once.
    """
    found: dict[int, GroupedWindow] = {}
    order = sorted(range(len(crops)), key=lambda index: crops[index].pixels.shape)
    for batch in _batches([(index, crops[index]) for index in order], batch_size):
        windows = _encode(network, [crop for _, crop in batch], naming=naming, border=border)
        found.update(zip((index for index, _ in batch), windows, strict=True))
    return [found[index] for index in range(len(crops))]


def _encode(
    network: Network, crops: Sequence[Crop], *, naming: Naming, border: Literal["fit", "cut"]
) -> list[GroupedWindow]:
    pixels = torch.stack([crop.pixels for crop in crops]).to(network.device)
    patch = network.config.image.patch_size
    if border == "cut":
        height, width = (side // patch * patch for side in pixels.shape[-2:])
        pixels = pixels[:, :, :height, :width]
    rows, columns = (-(-side // patch) for side in pixels.shape[-2:])
    found = network.embed_image(normalize(pixels), num_stages=1 if naming == "segments" else None)
    patches = None if naming == "segments" else found.patch_embeddings()
    return [
        GroupedWindow(
            box=crop.box,
            grid=(rows, columns),
            assignments=tuple(assignment[index] for assignment in found.assignments),
            embedding=found.image[index].float(),
            segments=found.segments[-1][index].float(),
            patches=None if patches is None else patches[index].float(),
        )
        for index, crop in enumerate(crops)
    ]


def _batches(crops: Sequence[tuple[int, Crop]], size: int) -> Iterator[Sequence[tuple[int, Crop]]]:
    """Runs of at most `size` neighbors with pixels of equal sizes."""
    start = 0
    for end in range(1, len(crops) + 1):
        full = end - start == size
        if end == len(crops) or full or crops[end][1].pixels.shape != crops[start][1].pixels.shape:
            yield crops[start:end]
            start = end
