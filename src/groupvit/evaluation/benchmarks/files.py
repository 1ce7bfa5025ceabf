"""Benchmark of files: images, and masks whose values a table maps to classes."""

import struct
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8, UInt16
from PIL import Image, UnidentifiedImageError

from groupvit import imaging, png
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Sample
from groupvit.evaluation.scores import IGNORED
from groupvit.text.prompts import BACKGROUND

UNKNOWN = -1
"""In a table of values: the value must not occur."""
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, MemoryError)

Values = Int64[np.ndarray, " value"]
"""Class of every mask value; 255 for pixels that do not count, -1 for values that must not be."""
Mask = UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]
"""Values of a mask, before the table is applied."""


Orientation = Literal["upright", "file"]
"""Orientation of masks whose image has an EXIF orientation: as seen, or as stored in the file."""


class Pair(NamedTuple):
    """Paths of an image and its mask."""

    image: Path
    mask: Path


def identity(num_classes: int) -> Values:
    """Table of masks whose values are class indices, and 255."""
    table = np.full(256, UNKNOWN)
    table[:num_classes] = np.arange(num_classes)
    table[IGNORED] = IGNORED
    return table


def without_zero(values: Values) -> Values:
    """Table of the same masks without class 0, whose pixels do not count; class 1 becomes 0."""
    table = np.where((values == UNKNOWN) | (values == IGNORED), values, values - 1)
    table[values == 0] = IGNORED
    return table


def read_mask(pair: Pair, size: tuple[int, int]) -> UInt8[np.ndarray, "height width"]:
    """Read the mask of a pair; its (height, width) is checked before it is decoded.

    Raises:
        InputError: The mask is no 8-bit PNG, gray or with a palette, of this size, or is damaged.
    """
    with opened_mask(pair.mask, size) as image:
        return np.array(image)


@contextmanager
def opened_mask(
    path: Path, size: tuple[int, int], *, modes: Collection[str] = ("P", "L")
) -> Iterator[Image.Image]:
    """Mask whose (height, width) and mode are checked before it is decoded.

    Raises:
        InputError: It is no PNG of this size and one of these modes, or is damaged.
    """
    try:
        with (
            path.open("rb") as file,
            Image.open(png.without_metadata(file), formats=["PNG"]) as image,
        ):
            if (image.height, image.width) != size:
                raise InputError(
                    f"the mask {path} has {image.width} x {image.height} pixels, its image "
                    f"{size[1]} x {size[0]}; give both in the same size"
                )
            if image.mode not in modes:
                raise InputError(
                    f"the mask {path} has the mode {image.mode}; save it as a PNG of 8 bits, "
                    "gray or with a palette, whose values are class indices, or map its colors, "
                    "such as --mask-values 000000=background ff0000=tree"
                )
            yield image
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"the mask {path} is no PNG image; save it as one") from None
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        raise InputError(f"the mask {path} cannot be read: {error}") from None


def mask_size(mask: Path) -> tuple[int, int]:
    """Height and width; zeros for a file that is no image, which `Files.read` refuses."""
    try:
        with (
            mask.open("rb") as file,
            Image.open(png.without_metadata(file), formats=["PNG"]) as image,
        ):
            return image.height, image.width
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return 0, 0


Read = Callable[[Pair, tuple[int, int]], Mask]
"""Function that reads the mask of a pair of this (height, width)."""


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True, eq=False)
class Files:
    """Benchmark whose images and masks are files, read one by one."""

    key: str = ""
    """Short name by which protocols prescribe settings; empty for your own benchmark."""
    name: str
    """Name in reports."""
    labels: tuple[str, ...]
    """Labels of the classes, such as `car|taxi`, without the background."""
    has_background: bool
    """Class 0 of the masks is the background, and the labels are numbered from 1."""
    pairs: tuple[Pair, ...]
    """Files, in a fixed order."""
    values: Values = field(repr=False)
    """Class of every mask value."""
    listed: str
    """File or list of the classes, for messages."""
    read: Read = read_mask
    """Function that reads a mask."""
    is_mapped: bool = False
    """True if the user gave the classes of the values."""
    orientation: Orientation | None = "upright"
    """Orientation of masks whose size does not show it; None: such masks are refused."""
    value_names: tuple[str, ...] = ()
    """Names of the values, such as colors; empty: numbers."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels of all classes in the order of their numbers, the background first."""
        return (BACKGROUND, *self.labels) if self.has_background else self.labels

    def name_of(self, value: int) -> str:
        """Name of a mask value in messages."""
        return self.value_names[value] if self.value_names else str(value)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Read an image and its mask.

        Raises:
            InputError: Image or mask cannot be read, their sizes differ, or the mask has a value
                without a class.
        """
        pair = self.pairs[index]
        image = imaging.read(pair.image)
        found = self._upright_mask(pair, image.shape[:2])
        classes = self.values[found]
        if (classes == UNKNOWN).any():
            self._refuse(pair, int(found[classes == UNKNOWN].min()))
        return Sample(pair.image.name, image, classes.astype(np.uint8))

    def _upright_mask(self, pair: Pair, size: tuple[int, int]) -> Mask:
        """Mask of an upright image of this (height, width).

        Masks have the orientation of the file where programs that ignore EXIF drew them.
        """
        height, width = size
        orientation = imaging.file_orientation(pair.image)
        if orientation >= 5 and mask_size(pair.mask) == (width, height) != size:
            return imaging.upright(self.read(pair, (width, height)), orientation)
        found = self.read(pair, size)
        if orientation == 1 or (orientation >= 5 and width != height):
            return found
        turned = imaging.upright(found, orientation)
        if self.orientation is None and not np.array_equal(found, turned):
            raise InputError(
                f"{pair.image} has an EXIF orientation ({orientation}), and its mask the same size "
                "either way; pass --mask-orientation upright if masks were drawn on the image as "
                "seen, or file if not, or save the image without this tag"
            )
        return turned if self.orientation == "file" else found

    def check_orientation(self) -> None:
        """Refuse masks of which neither their size nor the user shows the orientation.

        Raises:
            InputError: Names the first; or an image or mask cannot be read.
        """
        if self.orientation is None:
            for pair in self.pairs:
                if imaging.file_orientation(pair.image) > 1:
                    self._upright_mask(pair, imaging.read(pair.image).shape[:2])

    def _refuse(self, pair: Pair, value: int) -> None:
        if self.is_mapped:
            raise InputError(
                f"the mask {pair.mask} has the value {value}, which --mask-values does not name; "
                f"add {value}=CLASS, or {value}=ignored"
            )
        raise InputError(
            f"the mask {pair.mask} has the value {value}, but {self.listed} has "
            f"{len(self.classes)} lines, numbered from 0; name the class there, or write 255 for "
            f"pixels that do not count, or map the values, such as --mask-values {value}=CLASS"
        )
