"""Images in: one upright RGB array from a file, a Pillow image or an array."""

import glob
import io
import os
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, UnidentifiedImageError

from groupvit.errors import InputError

FORMATS = ("JPEG", "PNG", "WEBP")
"""What is decoded; every other decoder of Pillow stays shut, whatever a file calls itself."""

MAX_PIXELS = 128_000_000
"""A larger image is refused, from its header, before anything is decoded."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
"""What `find` takes for an image in a folder, in upper or lower case."""

MEAN = (123.675, 116.28, 103.53)
"""Mean of ImageNet's red, green and blue, 0 to 255; the network wants it taken off."""

DEVIATION = (58.395, 57.12, 57.375)
"""Standard deviation of ImageNet's red, green and blue, 0 to 255."""

# Everything that Pillow's three decoders raise on damaged data.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, LookupError, struct.error, zlib.error)

# `warnings.catch_warnings` changes the whole process; one thread at a time may do that.
_QUIET = threading.Lock()

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Found(NamedTuple):
    """An image file, and the name that its outputs should carry."""

    path: Path
    """Where the image lies, as reached from what was given."""
    name: Path
    """The path below the folder or pattern that was given, or only the file name, with suffix."""


def read(
    source: str | Path | Image.Image | np.ndarray,
) -> UInt8[np.ndarray, "height width 3"]:
    """Give an image as a fresh upright array: RGB, 0 to 255.

    The orientation noted in EXIF is applied. Transparent parts become white. Of animated files
    the first frame counts, of a Pillow image the current one. 16-bit gray is scaled so that 65535
    becomes 255. Color profiles are ignored: the values are taken as sRGB.

    Args:
        source: A JPEG, PNG or WebP file; a Pillow image; or an array of uint8, 0 to 255, of shape
            (height, width, 3) in RGB order or (height, width) in gray.

    Raises:
        InputError: The file is missing, unreadable, damaged or in another format; the image has
            no pixels or more than `MAX_PIXELS`; or the array has another shape or type.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return _from_image(source, name="the image")
    if isinstance(source, str | Path):
        return _from_file(source)
    kind = type(source).__name__
    raise InputError(f"an image cannot be a {kind}; give a path, a Pillow image or a numpy array")


def decode(
    data: bytes, *, name: str, max_pixels: int = MAX_PIXELS
) -> UInt8[np.ndarray, "height width 3"]:
    """Give the image that the bytes of a file hold, as `read` does.

    Args:
        data: A JPEG, PNG or WebP file.
        name: What messages call it.
        max_pixels: A larger image is refused from its header.

    Raises:
        InputError: It is damaged, in another format, or too large.
    """
    with _open(io.BytesIO(data), name) as image:
        pixels = image.width * image.height
        if pixels > max_pixels:
            _refuse_large(pixels, name, max_pixels)
        return _from_image(image, name)


def find(paths: Sequence[str | Path]) -> list[Found]:
    """List the images that files, folders and patterns stand for, each once.

    The order is that of `paths`; inside a folder or pattern it is alphabetical. A file named
    outright is taken whatever its suffix. Folders are searched with all folders below them and
    patterns such as "photos/**/*.jpg" are expanded; both give only files ending in `SUFFIXES` and
    nothing hidden.

    Raises:
        InputError: Nothing was given, a path is missing, a folder or pattern holds no images,
            or two different images would give outputs of the same name.
    """
    if isinstance(paths, str | Path):
        paths = [paths]
    if not paths:
        raise InputError("no images given; name at least one file or folder")
    found: dict[Path, Found] = {}
    for given in paths:
        for image in _expand(given):
            found.setdefault(image.path.resolve(), image)
    _check_names(list(found.values()))
    return list(found.values())


def _from_array(array: np.ndarray) -> UInt8[np.ndarray, "height width 3"]:
    gray = array.ndim == 2
    color = array.ndim == 3 and array.shape[2] == 3
    if array.dtype != np.uint8 or not (gray or color):
        raise InputError(
            f"array is {array.dtype} with shape {array.shape}; give uint8 values 0 to 255 "
            "of shape (height, width, 3) or (height, width)"
        )
    _check_size(array.shape[1], array.shape[0], "the array")
    return np.stack([array] * 3, axis=-1) if gray else np.array(array, order="C")


def _from_file(given: str | Path) -> UInt8[np.ndarray, "height width 3"]:
    path = Path(given)
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; name an image in it")
        with path.open("rb") as file, _open(file, name=str(given)) as image:
            return _from_image(image, name=str(given))
    except FileNotFoundError:
        _refuse_missing(given)
    except PermissionError:
        raise InputError(f"no permission to read {given}; change its permissions") from None
    except OSError as error:
        raise InputError(f"{given} cannot be read: {error.strerror or error}") from None


def _open(file: io.BytesIO | io.BufferedReader, name: str) -> Image.Image:
    """Read the header only; the size is checked by `_from_image`, before it decodes."""
    try:
        with _QUIET, warnings.catch_warnings():
            # Our own cap decides; Pillow's lower one would print, or raise where warnings are
            # errors. Other warnings tell of damage that does not matter.
            warnings.simplefilter("ignore")
            return Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError as error:
        # Beyond twice its own cap Pillow gives the count of pixels in its message and no image.
        _refuse_large(int((re.findall(r"\d+", str(error)) or [MAX_PIXELS + 1])[0]), name)
    except UnidentifiedImageError:
        empty = file.seek(0, os.SEEK_END) == 0
        what = "is an empty file" if empty else "is not a JPEG, PNG or WebP image"
        raise InputError(f"{name} {what}; give an image in one of these formats") from None
    except _DAMAGED as error:
        raise InputError(f"{name} is damaged ({error}); get a whole copy of it") from None


def _from_image(image: Image.Image, name: str) -> UInt8[np.ndarray, "height width 3"]:
    _check_size(*image.size, name)
    try:
        image.load()
    except _DAMAGED as error:
        raise InputError(f"{name} is damaged ({error}); get a whole copy of it") from None
    upright = _UPRIGHT.get(_orientation(image))
    try:
        rgb = _to_rgb(image)
    except ValueError:
        raise InputError(
            f"{name} has the mode {image.mode}, which has no RGB form; convert it first"
        ) from None
    return np.array(rgb if upright is None else rgb.transpose(upright))


def _orientation(image: Image.Image) -> int:
    """The orientation from EXIF, 1 to 8; a damaged EXIF block says nothing."""
    try:
        with _QUIET, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (*_DAMAGED, TypeError):
        return 1
    return orientation if isinstance(orientation, int) else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("real numbers have no fixed range")
    if image.mode.startswith("I"):
        return _from_16_bit(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(rgba, mask=rgba.getchannel("A"))
    return white


def _from_16_bit(image: Image.Image) -> Image.Image:
    values = np.clip(np.asarray(image), 0, 65535).astype(np.uint32)
    gray = ((values + 128) // 257).astype(np.uint8)
    transparent = image.info.get("transparency")
    if transparent is not None:
        gray[values == transparent] = 255
    return Image.fromarray(gray).convert("RGB")


def _check_size(width: int, height: int, name: str) -> None:
    if width == 0 or height == 0:
        raise InputError(f"{name} has no pixels ({width} x {height}); give an image that has some")
    if width * height > MAX_PIXELS:
        _refuse_large(width * height, name)


def _refuse_large(pixels: int, name: str, most: int = MAX_PIXELS) -> NoReturn:
    raise InputError(
        f"{name} has {pixels:,} pixels; at most {most:,} are read, so make it smaller first"
    ) from None


def _refuse_missing(given: str | Path) -> NoReturn:
    if re.match(r"(https?|s3|gs)://", str(given)):
        raise InputError(f"{given} is a web address; download it and give the file") from None
    raise InputError(f"no file {given}; check the path") from None


def _expand(given: str | Path) -> Iterator[Found]:
    path = Path(given)
    if path.is_dir():
        found = [Found(image, image.relative_to(path)) for image in _walk(path)]
        if not found:
            raise InputError(f"no JPEG, PNG or WebP images in {given}; choose another folder")
    elif path.exists():
        found = [Found(path, Path(path.name))]
    elif any(character in str(given) for character in "*?["):
        found = _match(str(given))
        if not found:
            raise InputError(f"no images match {given}; check the pattern")
    else:
        _refuse_missing(given)
    yield from sorted(found, key=lambda image: image.name.parts)


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        # Changing the list in place keeps `os.walk` out of what is hidden.
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and name.lower().endswith(SUFFIXES):
                yield Path(parent, name)


def _match(pattern: str) -> list[Found]:
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if any(sign in part for sign in "*?["))
    root = Path(*parts[:fixed])
    # `Path.glob` would give hidden files, and reads "**" in another way before Python 3.13.
    paths = [Path(path) for path in glob.glob(pattern, recursive=True)]  # noqa: PTH207
    return [
        Found(path, path.relative_to(root))
        for path in paths
        if path.name.lower().endswith(SUFFIXES) and path.is_file()
    ]


def _check_names(found: Sequence[Found]) -> None:
    first: dict[Path, Path] = {}
    for image in found:
        other = first.setdefault(image.name, image.path)
        if other != image.path:
            raise InputError(
                f"{other} and {image.path} would both give {image.name}; "
                "give the folder that holds both"
            )
