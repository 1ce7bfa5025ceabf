"""A random crop of an encoded image, resized, without decoding more than it needs."""

import io
import math
import random
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image

from groupvit.data.config import DataConfig
from groupvit.imaging import FORMATS, MAX_PIXELS, read

TRIES = 10
"""Boxes that are drawn before the middle of the image is taken, as in torchvision."""

# What Pillow raises on damaged data; `InputError` of `images.read` is a `ValueError`.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


class DamagedError(Exception):
    """An image that cannot be decoded; the loader takes another."""


class Box(NamedTuple):
    """A part of an image [pixels]."""

    left: float
    top: float
    right: float
    bottom: float


@contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """An encoded image, of which only the header is read yet; what is wrong with it is told.

    Raises:
        DamagedError: It is no JPEG, PNG or WebP image, has too many pixels, or turns out to be
            damaged while it is used.
    """
    try:
        with warnings.catch_warnings():
            # Damage that does not matter, and Pillow's own cap of pixels below ours.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DamagedError(f"{image.width} x {image.height} pixels are too many")
                yield image
    except _DAMAGED as error:
        raise DamagedError(str(error)) from error


def decode(
    data: bytes, config: DataConfig, generator: random.Random, *, image_size: int
) -> UInt8[np.ndarray, "height width 3"]:
    """A random crop of an encoded image, resized to a square of this size: RGB, 0 to 255.

    Images are upright, as EXIF says, and white where they are transparent: this is how
    `groupvit.imaging.read` gives them when the model is used.

    Raises:
        DamagedError: It is no JPEG, PNG or WebP image, is damaged or has too many pixels.
    """
    with opened(data) as image:
        return np.asarray(_crop(image, config, generator, image_size))


def draw_box(width: int, height: int, config: DataConfig, generator: random.Random) -> Box:
    """A crop of random area and shape.

    Area and the logarithm of the ratio are uniform. After `TRIES` boxes that do not fit, it is the
    largest box in the middle whose ratio is allowed (Szegedy et al. 2015, as in torchvision).
    """
    low, high = config.crop_ratio_min, config.crop_ratio_max
    for _ in range(TRIES):
        area = width * height * generator.uniform(config.crop_scale_min, config.crop_scale_max)
        ratio = math.exp(generator.uniform(math.log(low), math.log(high)))
        crop_width, crop_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < crop_width <= width and 0 < crop_height <= height:
            left = generator.randint(0, width - crop_width)
            top = generator.randint(0, height - crop_height)
            return Box(left, top, left + crop_width, top + crop_height)
    crop_width = min(width, max(1, round(height * high)))
    crop_height = min(height, max(1, round(width / low)))
    left, top = (width - crop_width) // 2, (height - crop_height) // 2
    return Box(left, top, left + crop_width, top + crop_height)


def _crop(
    image: Image.Image, config: DataConfig, generator: random.Random, size: int
) -> Image.Image:
    # Rare kinds take the way of images that people give, with all its cares.
    plain = image.mode in ("RGB", "L") and not image.has_transparency_data and _is_upright(image)
    source = image if plain else Image.fromarray(read(image))
    box = draw_box(*source.size, config, generator)
    if plain:
        box = _reduce(image, box, size)
    return source.resize((size, size), Image.Resampling.BILINEAR, box=box).convert("RGB")


def _is_upright(image: Image.Image) -> bool:
    try:
        return bool(image.getexif().get(ExifTags.Base.Orientation, 1) == 1)
    except _DAMAGED:
        return False


def _reduce(image: Image.Image, box: Box, size: int) -> Box:
    """Let JPEG decode at 1/2, 1/4 or 1/8 if the crop keeps the wanted size; gives its box then."""
    share = min((box.right - box.left) / size, (box.bottom - box.top) / size)
    if share < 2:
        return box
    whole = image.width
    drafted = image.draft(None, (math.ceil(image.width / share), math.ceil(image.height / share)))
    if drafted is None:
        return box
    factor = drafted[1][2] / whole
    return Box(*(edge * factor for edge in box))
