"""Random resized crops of encoded images; JPEG files are decoded at reduced size if possible."""

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
from PIL import ExifTags, Image, UnidentifiedImageError

from groupvit import icc, jpeg, png
from groupvit.data.config import DataConfig
from groupvit.imaging import MAX_PIXELS, TRUNCATED, WEB_FORMATS, read

TRIES = 10
"""Boxes drawn for a crop; if none fits, it is in the center, as in torchvision."""

# Errors of Pillow on damaged data; the `InputError` of `imaging.read` is a `ValueError`.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    struct.error,
    zlib.error,
    AssertionError,  # a palette is missing
    MemoryError,
    Image.DecompressionBombError,
)


class DamagedError(Exception):
    """An image that cannot be decoded."""


class Box(NamedTuple):
    """A rectangle of an image [pixels]."""

    left: float
    top: float
    right: float
    bottom: float


@contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """An encoded image of which only the header has been read.

    Raises:
        DamagedError: It is no JPEG, PNG or WebP image, has too many pixels, or its data turn out
            to be damaged inside the context.
    """
    try:
        with warnings.catch_warnings():
            # Minor damage, and Pillow's own limit of pixels, which is below ours.
            warnings.simplefilter("ignore")
            file = png.without_metadata(io.BytesIO(data))
            if jpeg.num_scans(file) > jpeg.MAX_SCANS:
                raise DamagedError("too many scans")
            with Image.open(file, formats=WEB_FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DamagedError(f"{image.width} x {image.height} pixels are too many")
                yield image
    except UnidentifiedImageError as error:  # its own message names an object in memory
        raise DamagedError("no JPEG, PNG or WebP image") from error
    except _DAMAGED as error:
        raise DamagedError(str(error)) from error


class Decoded(NamedTuple):
    """A crop of an image."""

    pixels: UInt8[np.ndarray, "height width 3"]
    """RGB, 0 to 255."""
    is_complete: bool
    """False for a JPEG that lacks its last bytes."""


def decode(
    data: bytes, config: DataConfig, generator: random.Random, *, image_size: int
) -> Decoded:
    """A random crop of an encoded image, resized to a square of this size: RGB, 0 to 255.

    EXIF orientation is applied and transparent pixels are white, as in `groupvit.imaging.read`,
    which prepares images for inference. A JPEG that lacks its last bytes is read as there.

    Raises:
        DamagedError: It is no JPEG, PNG or WebP image, is damaged or has too many pixels.
    """
    state = generator.getstate()
    try:
        return Decoded(_crop(data, config, generator, image_size), is_complete=True)
    except DamagedError as error:
        whole = jpeg.completed(io.BytesIO(data)) if TRUNCATED in str(error) else None
        if whole is None:
            raise
    generator.setstate(state)
    return Decoded(_crop(whole[0].read(), config, generator, image_size), is_complete=False)


def read_whole(data: bytes) -> UInt8[np.ndarray, "height width 3"]:
    """An encoded image, as `groupvit.imaging.read` reads a file, without its warning.

    Raises:
        DamagedError: As `decode` does.
    """
    try:
        with opened(data) as image:
            return read(image)
    except DamagedError as error:
        whole = jpeg.completed(io.BytesIO(data)) if TRUNCATED in str(error) else None
        if whole is None:
            raise
    with opened(whole[0].read()) as image:
        return read(image)


def _crop(
    data: bytes, config: DataConfig, generator: random.Random, image_size: int
) -> UInt8[np.ndarray, "height width 3"]:
    with opened(data) as image:
        plain = image.mode in ("RGB", "L") and not image.has_transparency_data
        plain = plain and _is_upright(image) and not icc.changes_colors(image)
        # Rare kinds are read as at inference.
        source = image if plain else Image.fromarray(read(image))
        box = draw_box(*source.size, config, generator)
        if plain:
            box = _reduce(image, box, image_size)
        size = image_size, image_size
        crop = source.resize(size, Image.Resampling.BILINEAR, box=box)
        return np.asarray(crop.convert("RGB"))


def draw_box(width: int, height: int, config: DataConfig, generator: random.Random) -> Box:
    """A box of random area and aspect ratio.

    Area and the logarithm of the ratio are uniform. After `TRIES` boxes that do not fit, it is the
    largest centered box of an allowed ratio (Szegedy et al. 2015, as in torchvision).
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


def _is_upright(image: Image.Image) -> bool:
    try:
        return bool(image.getexif().get(ExifTags.Base.Orientation, 1) == 1)
    except _DAMAGED:
        return False


def _reduce(image: Image.Image, box: Box, size: int) -> Box:
    """Decode JPEG at 1/2, 1/4 or 1/8 where the crop stays large enough; returns the scaled box."""
    scale = min((box.right - box.left) / size, (box.bottom - box.top) / size)
    if scale < 2:
        return box
    whole = image.width
    drafted = image.draft(None, (math.ceil(image.width / scale), math.ceil(image.height / scale)))
    if drafted is None:
        return box
    factor = drafted[1][2] / whole
    return Box(*(edge * factor for edge in box))
