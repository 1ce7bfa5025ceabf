"""Preprocessing of images for the network: resizing and normalization."""

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from groupvit.errors import InputError
from groupvit.imaging import DEVIATION, MEAN
from groupvit.model.config import ImageEncoderConfig
from groupvit.segmentation.protocol import Protocol


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
    """Resize an image to (height, width), bilinear, in whole numbers as the original does."""
    pixels = rearrange(torch.from_numpy(image), "height width rgb -> 1 rgb height width")
    if pixels.shape[-2:] != size:
        pixels = F.interpolate(
            pixels, size, mode="bilinear", align_corners=False, antialias=antialias
        )
    return pixels[0]


def normalize(
    pixels: UInt8[Tensor, "*batch 3 height width"],
) -> Float[Tensor, "*batch 3 height width"]:
    """Subtract ImageNet's mean color and divide by its standard deviation."""
    mean = torch.tensor(MEAN, device=pixels.device)[:, None, None]
    deviation = torch.tensor(DEVIATION, device=pixels.device)[:, None, None]
    return (pixels - mean) / deviation
