"""Kinds of images that a segmenter takes."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from groupvit import imaging
from groupvit.errors import InputError

ImageInput = str | Path | bytes | Image.Image | np.ndarray | Tensor
"""A file or its bytes; a Pillow image; an array of uint8 "height width 3" or "height width"; or a
tensor "3 height width" of uint8, 0 to 255, or of real numbers, 0 to 1."""


def read(image: ImageInput) -> UInt8[np.ndarray, "height width 3"]:
    """Read an image into a new array: RGB, 0 to 255; see `groupvit.imaging.read`.

    Raises:
        InputError: It cannot be read, or is a tensor of another shape, type or range.
    """
    return imaging.read(_array(image) if isinstance(image, Tensor) else image)


def _array(tensor: Tensor) -> UInt8[np.ndarray, "height width 3"]:
    values = tensor.detach().cpu()
    is_real = values.is_floating_point()
    in_range = not is_real or bool(((values >= 0) & (values <= 1)).all())  # False for NaN, too
    if values.ndim != 3 or len(values) != 3 or not (is_real or values.numpy().dtype == np.uint8):
        raise InputError(
            f"tensor is {tensor.dtype} with shape {tuple(tensor.shape)}; give uint8 values 0 to "
            "255, or real numbers 0 to 1, of shape (3, height, width), and several images as a list"
        )
    if not in_range:
        raise InputError("tensor has values outside [0, 1]; give them before any normalization")
    scaled = (values.float() * 255).round() if is_real else values
    return scaled.byte().movedim(0, -1).contiguous().numpy()
