"""Reading images: an upright RGB array from a file, its bytes, a Pillow image or an array."""

import io
import os
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, UnidentifiedImageError

from groupvit import files, icc, jpeg, png
from groupvit.errors import InputError

WEB_FORMATS = ("JPEG", "PNG", "WEBP")
"""Formats of images that strangers send, and of shards."""
FORMATS = (*WEB_FORMATS, "TIFF", "BMP", "GIF", "AVIF")
"""Formats that are decoded; Pillow's other decoders are never called, whatever a file's name."""
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""Brands in the first bytes of a HEIC file."""

MAX_PIXELS = 128_000_000
"""Largest image that is read; larger ones are refused from their header."""

MAX_SIDE = 1_000_000
"""Longest side of an image that is read [pixels]."""

# All that the decoders of Pillow raise on damaged data.
_DAMAGED = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, RuntimeError),
    *(struct.error, zlib.error),
)

TRUNCATED = "truncated"
"""Word in Pillow's messages about files that lack bytes."""

# `warnings.catch_warnings` acts on the whole process: one thread at a time.
_QUIET = threading.Lock()


class IncompleteImageWarning(UserWarning):
    """An image lacks its last bytes, and was read all the same."""


class PagesWarning(UserWarning):
    """A file has several pages, of which the first was read."""


_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read(
    source: str | Path | bytes | Image.Image | np.ndarray,
) -> UInt8[np.ndarray, "height width 3"]:
    """Read an image into a new array: sRGB, 0 to 255.

    A JPEG file that lacks its last bytes is read, with an `IncompleteImageWarning`, if at most 5 %
    of its rows (or 16) are lost. The EXIF orientation is applied, and so is a color profile
    (`groupvit.icc`); without one, values are taken as sRGB. Transparent pixels are blended with
    white. Of an animation the first frame is read, of a Pillow image the current one, of a TIFF
    file with several pages the first, with a `PagesWarning`. 16-bit gray is scaled so that 65535
    becomes 255.

    Args:
        source: A JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF file, also HEIC where `pillow-heif` is
            installed, with the number of its page if there are several, as in `scan.tif#2`; the
            bytes of such a file; a Pillow image; or an array of uint8, 0 to 255, of shape
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
    if isinstance(source, bytes):
        return decode(source, name="the image", formats=FORMATS)
    kind = type(source).__name__
    raise InputError(f"an image cannot be a {kind}; give a path, a Pillow image or a numpy array")


def decode(
    data: bytes,
    *,
    name: str,
    max_pixels: int = MAX_PIXELS,
    formats: tuple[str, ...] = WEB_FORMATS,
) -> UInt8[np.ndarray, "height width 3"]:
    """Decode the bytes of an image file; see `read`.

    Args:
        data: Content of the file.
        name: Name of the image in error messages.
        max_pixels: Largest size; a larger image is refused from its header.
        formats: Formats that are decoded, of `FORMATS`.

    Raises:
        InputError: It is damaged, in another format, or too large.
    """
    return _from_stream(io.BytesIO(data), name, formats, max_pixels)


def num_pixels(data: bytes, *, name: str) -> int:
    """Number of pixels of an image file by its header; see `decode`.

    Raises:
        InputError: It is in another format, or its header is damaged.
    """
    with _open(png.without_metadata(io.BytesIO(data)), name, WEB_FORMATS) as image:
        return image.width * image.height


def file_orientation(path: Path) -> int:
    """EXIF orientation of an image file, 1 to 8; 1 for a file that is no image."""
    try:
        with (
            path.open("rb") as file,
            _open(png.without_metadata(file), str(path), FORMATS) as image,
        ):
            return _orientation(image)
    except (OSError, InputError):
        return 1


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Array "height width" in the orientation of a file, turned as `read` turns its image."""
    operations: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        2: np.fliplr,
        3: lambda turned: np.rot90(turned, 2),
        4: np.flipud,
        5: np.transpose,
        6: lambda turned: np.rot90(turned, 3),
        7: lambda turned: np.rot90(turned.T, 2),
        8: np.rot90,
    }
    return operations[orientation](array) if orientation in operations else array


def split_page(given: str | Path) -> tuple[Path, int | None]:
    """File and page that `scan.tif#2` stands for; a file of exactly that name goes before."""
    parts = re.fullmatch(r"(.+)#([1-9]\d{0,4})", str(given), re.DOTALL)
    if parts is None or os.path.lexists(given) or not os.path.lexists(parts[1]):
        return Path(given), None
    return Path(parts[1]), int(parts[2])


def missing(path: str | Path) -> InputError:
    """Error for a path where nothing is, which may be a web address."""
    if re.match(r"(https?|s3|gs)://", str(path)):
        return InputError(f"{path} is a web address; download it and give the file")
    return InputError(f"no file {path}; check the path")


@contextmanager
def without_warnings() -> Iterator[None]:
    """Suppress warnings of Pillow: of its own limit, lower than ours, and of harmless damage."""
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _from_array(array: np.ndarray) -> UInt8[np.ndarray, "height width 3"]:
    gray = array.ndim == 2
    color = array.ndim == 3 and array.shape[2] == 3
    if array.dtype != np.uint8 or not (gray or color):
        raise InputError(
            f"array is {array.dtype} with shape {array.shape}; give uint8 values 0 to 255 "
            "of shape (height, width, 3) or (height, width)"
        )
    _check_size(array.shape[0], array.shape[1], "the array")
    return np.stack([array] * 3, axis=-1) if gray else np.array(array, order="C")


def _from_file(given: str | Path) -> UInt8[np.ndarray, "height width 3"]:
    if "\0" in str(given):
        raise InputError(f"the name {str(given)!r:.200} contains NUL; give another")
    try:
        path, page = split_page(given)
        if path.is_dir():
            raise InputError(f"{path} is a folder; name an image in it")
        if path.exists():
            files.check_readable(path)
        with path.open("rb") as file:
            return _from_stream(file, str(given), FORMATS, page=page)
    except FileNotFoundError:
        raise missing(given) from None
    except PermissionError:
        raise InputError(f"no permission to read {given}; change its permissions") from None
    except OSError as error:
        raise InputError(f"{given} cannot be read: {error.strerror or error}") from None


def _from_stream(
    given: io.BytesIO | io.BufferedReader,
    name: str,
    formats: tuple[str, ...],
    max_pixels: int = MAX_PIXELS,
    page: int | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    scans = jpeg.num_scans(given)
    if scans > jpeg.MAX_SCANS:
        raise InputError(
            f"{name} has {scans:,} scans; at most {jpeg.MAX_SCANS} are read, so save it again"
        )
    file = png.without_metadata(given)
    with _open(file, name, formats) as image:
        _turn_to(image, page, name)
        pixels = image.width * image.height
        if pixels > max_pixels:
            _refuse_large(pixels, name, max_pixels)
        try:
            return _from_image(image, name)
        except InputError as error:
            whole = jpeg.completed(file) if TRUNCATED in str(error) else None
            if whole is None:
                raise
    warnings.warn(
        f"{name} lacks its last bytes; {whole[1]} of its rows of pixels are incomplete",
        IncompleteImageWarning,
        stacklevel=2,
    )
    with _open(whole[0], name, formats) as image:
        return _from_image(image, name)


def _turn_to(image: Image.Image, page: int | None, name: str) -> None:
    """Turn to a page, counted from 1; None: the first, with a warning if a TIFF file has others."""
    if page == 1 or (page is None and image.format != "TIFF"):
        return
    try:
        with without_warnings():
            image.seek(1 if page is None else page - 1)
    except (*_DAMAGED, TypeError) as error:
        if page is not None:
            raise InputError(f"{name}: the file has no page {page} ({error})") from None
        return
    if page is None:
        image.seek(0)
        warnings.warn(
            f"{name} has several pages, and the first is read; name others as {name}#2",
            PagesWarning,
            stacklevel=2,
        )


def _open(file: io.BytesIO | io.BufferedReader, name: str, formats: tuple[str, ...]) -> Image.Image:
    """Read the header only; `_from_image` checks the size before it decodes."""
    if "AVIF" in formats and _is_heic(file):
        formats = _formats_with_heic(name)
    try:
        with without_warnings():
            return Image.open(file, formats=formats)
    except Image.DecompressionBombError as error:
        # Beyond twice its limit Pillow opens nothing; the number of pixels is in its message.
        _refuse_large(int((re.findall(r"\d+", str(error)) or [MAX_PIXELS + 1])[0]), name)
    except UnidentifiedImageError:
        empty = file.seek(0, os.SEEK_END) == 0
        what = "is an empty file" if empty else f"is not a {_listed(formats)} image"
        raise InputError(f"{name} {what}; give an image in one of these formats") from None
    except _DAMAGED as error:
        raise InputError(f"{name} is damaged ({error}); get a whole copy of it") from None


def _listed(formats: tuple[str, ...]) -> str:
    *others, last = ("WebP" if name == "WEBP" else name for name in formats)
    return f"{', '.join(others)} or {last}" if others else last


def _is_heic(file: io.BytesIO | io.BufferedReader) -> bool:
    file.seek(0)
    head = file.read(12)
    file.seek(0)
    return head[4:8] == b"ftyp" and head[8:] in _HEIC


def _formats_with_heic(name: str) -> tuple[str, ...]:
    try:
        import pillow_heif  # which few have
    except ImportError:
        raise InputError(
            f"{name} is a HEIC image; run 'pip install pillow-heif', which reads them, or save it "
            "as JPEG"
        ) from None
    pillow_heif.register_heif_opener()
    return (*FORMATS, "HEIF")


def _from_image(image: Image.Image, name: str) -> UInt8[np.ndarray, "height width 3"]:
    _check_size(image.height, image.width, name)
    try:
        image.load()
        if image.mode == "P" and image.palette is None:
            raise ValueError("no palette")
    except MemoryError:
        raise InputError(f"{name} needs more memory than there is; make it smaller first") from None
    except _DAMAGED as error:
        if isinstance(error, ValueError) and "closed" in str(error):
            raise InputError(f"{name} is closed; open it again, or give its path") from None
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
    """EXIF orientation, 1 to 8; 1 where the EXIF block is damaged."""
    try:
        with without_warnings():
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
        return icc.to_rgb(image)
    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    opaque = rgba.convert("L" if image.mode in ("1", "L", "LA", "La") else "RGB")
    white.paste(icc.to_rgb(opaque), mask=rgba.getchannel("A"))
    return white


def _from_16_bit(image: Image.Image) -> Image.Image:
    values = np.clip(np.asarray(image), 0, 65535).astype(np.uint32)
    gray = ((values + 128) // 257).astype(np.uint8)
    transparent = image.info.get("transparency")
    if transparent is not None:
        gray[values == transparent] = 255
    eight = Image.fromarray(gray)
    eight.info["icc_profile"] = image.info.get("icc_profile")
    return icc.to_rgb(eight)


def _check_size(height: int, width: int, name: str) -> None:
    if width == 0 or height == 0:
        raise InputError(f"{name} has no pixels ({width} x {height}); give an image that has some")
    if max(width, height) > MAX_SIDE:
        raise InputError(
            f"{name} has {width:,} x {height:,} pixels; a side may have at most {MAX_SIDE:,}, "
            "so cut it into pieces first"
        )
    if width * height > MAX_PIXELS:
        _refuse_large(width * height, name)


def _refuse_large(pixels: int, name: str, most: int = MAX_PIXELS) -> NoReturn:
    raise InputError(
        f"{name} has {pixels:,} pixels; at most {most:,} are read, so make it smaller first"
    ) from None
