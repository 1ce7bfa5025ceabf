"""Preprocessing of images for the network: resizing and normalization."""

from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from groupvit.errors import InputError
from groupvit.model.config import ImageEncoderConfig
from groupvit.normalization import DEVIATION, MEAN
from groupvit.segmentation.protocol import Protocol
from groupvit.segmentation.windows import Box

FIXED_POINT = 1 << 11
"""Sum of the weights of two pixels where images are resized in whole numbers."""


def working_size(
    height: int, width: int, protocol: Protocol, config: ImageEncoderConfig
) -> tuple[int, int]:
    """Height and width that an image is resized to, keeping its aspect ratio [pixels].

    Raises:
        InputError: Less than one patch would be left, where the protocol cuts borders off.
    """
    short = protocol.short_side or 2 * config.image_size
    factor = min(protocol.long_side / max(height, width), short / min(height, width))
    patch = config.patch_size
    if protocol.border == "fit":
        return _multiple(height * factor, patch), _multiple(width * factor, patch)
    size = int(height * factor + 0.5), int(width * factor + 0.5)
    if min(size) < patch:
        raise InputError(
            f"the image of {width} x {height} pixels is too thin for the protocol "
            f"{protocol.name!r}, which leaves {size[1]} x {size[0]}; use the protocol 'ours'"
        )
    return size


def _multiple(length: float, patch: int) -> int:
    return max(patch, round(length / patch) * patch)


def resize(
    image: UInt8[np.ndarray, "height width 3"], size: tuple[int, int], *, antialias: bool
) -> UInt8[Tensor, "3 new_height new_width"]:
    """Resize an image to (height, width), bilinear.

    Without antialiasing it is done in whole numbers of 11 bits, as by OpenCV, which the original
    uses.
    """
    pixels = rearrange(torch.from_numpy(image), "height width rgb -> rgb height width")
    if pixels.shape[-2:] == size:
        return pixels
    if not antialias:
        return _resize_in_whole_numbers(pixels, size)
    return F.interpolate(
        pixels[None], size, mode="bilinear", align_corners=False, antialias=antialias
    )[0]


def part_at_other_side(
    image: UInt8[np.ndarray, "height width 3"],
    size: tuple[int, int],
    box: Box,
    other_size: tuple[int, int],
    protocol: Protocol,
    config: ImageEncoderConfig,
) -> UInt8[Tensor, "3 new_height new_width"]:
    """Window of an image as it is at another size of the image, in whole patches.

    Args:
        image: RGB, 0 to 255, at its own size.
        size: Height and width of the image that the window lies in [pixels].
        box: Window.
        other_size: Height and width of the image at the other size [pixels].
        protocol: Way of resizing.
        config: Settings of the encoder.
    """
    slices, lengths = [], []
    for start, length, whole, other, original in zip(
        (box.top, box.left), (box.height, box.width), size, other_size, image.shape[:2], strict=True
    ):
        first, last = start * original // whole, -(-(start + length) * original // whole)
        slices.append(slice(first, last))
        lengths.append(_multiple(length * other / whole, config.patch_size))
    return resize(image[*slices], (lengths[0], lengths[1]), antialias=protocol.antialias)


class _Mixing(NamedTuple):
    """Two source positions for each position of a resized axis, and their weights [1/2048]."""

    before: Int[Tensor, " position"]
    after: Int[Tensor, " position"]
    weight_before: Int[Tensor, " position"]
    weight_after: Int[Tensor, " position"]


def _resize_in_whole_numbers(
    pixels: UInt8[Tensor, "3 height width"], size: tuple[int, int]
) -> UInt8[Tensor, "3 new_height new_width"]:
    height, width = pixels.shape[1:]
    # Beyond the first and last rows OpenCV mixes one row with itself, which is rounded twice.
    down, across = _mixing(size[0], height, twice=True), _mixing(size[1], width, twice=False)
    values = pixels.int()
    rows = values[..., across.before] * across.weight_before
    rows += values[..., across.after] * across.weight_after  # (3, height, new_width), 19 bits
    rows >>= 4
    upper = (rows[:, down.before] * down.weight_before[:, None]) >> 16
    lower = (rows[:, down.after] * down.weight_after[:, None]) >> 16
    return ((upper + lower + 2) >> 2).to(torch.uint8)


def _mixing(length: int, source: int, *, twice: bool) -> _Mixing:
    """Mixing of an axis that is resized from `source` to `length` positions.

    Args:
        length: New length.
        source: Old length.
        twice: Mix the first and the last position with themselves where nothing lies beyond.
    """
    position = (torch.arange(length, dtype=torch.float64) + 0.5) * (source / length) - 0.5
    position = position.float() if twice else position.float().clamp(0, source - 1)
    before = position.floor()
    weight = position - before
    first = before.long()
    return _Mixing(
        first.clamp(0, source - 1),
        (first + 1).clamp(0, source - 1),
        ((1 - weight) * FIXED_POINT).round().int(),
        (weight * FIXED_POINT).round().int(),
    )


def normalize(
    pixels: UInt8[Tensor, "*batch 3 height width"],
) -> Float[Tensor, "*batch 3 height width"]:
    """Subtract ImageNet's mean color and divide by its standard deviation."""
    mean = torch.tensor(MEAN, device=pixels.device)[:, None, None]
    deviation = torch.tensor(DEVIATION, device=pixels.device)[:, None, None]
    return (pixels - mean) / deviation
