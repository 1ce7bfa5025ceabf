"""Color profiles of images: conversion to sRGB."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Mode of Pillow for the color space of a profile."""
_LARGEST = 1 << 22
"""Size of a profile that is read; larger ones are ignored [bytes]."""
_TOLERANCE = 2
"""Largest change of a value, 0 to 255, by a profile that counts as sRGB."""


def to_rgb(image: Image.Image) -> Image.Image:
    """The image in RGB, in sRGB's colors where it has a profile; without alpha.

    A profile that cannot be read, or is of another color space than the image, is ignored, and
    values are taken as sRGB. So they are where the profile changes no value by more than 2, as
    sRGB in its many versions does: most images keep their exact values.

    Raises:
        ValueError: The mode has no RGB form.
    """
    profile = image.info.get("icc_profile")
    transform = _transform(profile) if isinstance(profile, bytes) else None
    if transform is None:
        return image.convert("RGB")
    fits = (image.mode == "CMYK") == (transform.input_mode == "CMYK")
    if not fits or (transform.input_mode == "L" and image.mode not in ("1", "L", "LA", "La")):
        return image.convert("RGB")
    return transform.apply(image.convert(transform.input_mode))


def changes_colors(image: Image.Image) -> bool:
    """True if the image has a profile by which `to_rgb` may change its values."""
    profile = image.info.get("icc_profile")
    return isinstance(profile, bytes) and _transform(profile) is not None


@lru_cache(maxsize=32)
def _transform(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """Transform to sRGB; None for a profile that is sRGB, or cannot be used."""
    if len(profile) > _LARGEST:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES.get(source.profile.xcolor_space)
        if mode is None:
            return None
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        probe = _probe(mode)
        moved = np.asarray(transform.apply(probe)).astype(int) - np.asarray(probe.convert("RGB"))
    except (ImageCms.PyCMSError, ImportError, OSError, ValueError, TypeError):
        return None
    is_same = mode != "CMYK" and int(np.abs(moved).max()) <= _TOLERANCE
    return None if is_same else transform


def _probe(mode: str) -> Image.Image:
    """All combinations of nine values in each channel; for gray all values."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    values = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(*[values] * len(mode), indexing="ij"), axis=-1)
    return Image.frombytes(mode, (9, grid.size // 9 // len(mode)), grid.tobytes())
