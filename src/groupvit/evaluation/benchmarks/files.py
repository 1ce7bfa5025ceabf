"""A benchmark of files: images, and masks whose values a table turns into classes."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8, UInt16
from PIL import Image, UnidentifiedImageError

from groupvit import imaging
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Sample
from groupvit.evaluation.scores import IGNORED

UNKNOWN = -1
"""In a table of values: no mask of this benchmark has it."""
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)

Values = Int64[np.ndarray, " value"]
"""The class of every value of a mask; 255 for what does not count, -1 for what must not occur."""
Mask = UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]
"""The values of a mask, before the table."""


class Pair(NamedTuple):
    """Where an image and its mask lie."""

    image: Path
    mask: Path


def identity(num_classes: int) -> Values:
    """Masks whose values are the numbers of classes, and 255."""
    table = np.full(256, UNKNOWN)
    table[:num_classes] = np.arange(num_classes)
    table[IGNORED] = IGNORED
    return table


def without_zero(values: Values) -> Values:
    """The same masks where class 0 does not count, and classes are counted from 1."""
    table = np.where((values == UNKNOWN) | (values == IGNORED), values, values - 1)
    table[values == 0] = IGNORED
    return table


def read_mask(path: Path, size: tuple[int, int]) -> UInt8[np.ndarray, "height width"]:
    """The values of a mask; size is (width, height), checked before anything is decoded.

    Raises:
        InputError: It is no PNG of 8 bits, gray or with a palette, of this size, or is damaged.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.size != size:
                raise InputError(
                    f"the mask {path} has {image.width} x {image.height} pixels, its image "
                    f"{size[0]} x {size[1]}; give both in the same size"
                )
            if image.mode not in ("P", "L"):
                raise InputError(
                    f"the mask {path} has the mode {image.mode}; save it as a PNG of 8 bits, "
                    "grey or with a palette, whose values are the numbers of classes"
                )
            return np.array(image)
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"the mask {path} is no PNG image; save it as one") from None
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        raise InputError(f"the mask {path} cannot be read: {error}") from None


Read = Callable[[Pair, tuple[int, int]], Mask]
"""Gives the values of a pair's mask at (width, height)."""


def from_file(pair: Pair, size: tuple[int, int]) -> UInt8[np.ndarray, "height width"]:
    """The values of the file that is the mask."""
    return read_mask(pair.mask, size)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Files:
    """A benchmark whose images and masks are files, read when asked for."""

    key: str = ""
    """The short name by which protocols know it; empty for one of your own."""
    name: str
    """What reports call it."""
    labels: tuple[str, ...]
    """Its classes, such as `car|taxi`, without a background."""
    has_background: bool
    """Whether class 0 is what no label claims; the labels then count from 1."""
    pairs: tuple[Pair, ...]
    """The files, in an order that never changes."""
    values: Values = field(repr=False)
    """The class of every value of a mask."""
    listed: str
    """Where the classes are listed, for complaints."""
    read: Read = from_file
    """Gives the values of a mask."""

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Read an image and its mask.

        Raises:
            InputError: One of them cannot be read, the sizes differ, or the mask has a value that
                is no class.
        """
        pair = self.pairs[index]
        image = imaging.read(pair.image)
        height, width, _ = image.shape
        found = self.read(pair, (width, height))
        classes = self.values[found]
        if (classes == UNKNOWN).any():
            self._complain(pair, int(found[classes == UNKNOWN].min()))
        return Sample(pair.image.name, image, classes.astype(np.uint8))

    def _complain(self, pair: Pair, stranger: int) -> None:
        num_classes = len(self.labels) + self.has_background
        raise InputError(
            f"the mask {pair.mask} has the value {stranger}, but {self.listed} has {num_classes} "
            "lines, numbered from 0; name the class there, or write 255 for pixels that do not "
            "count"
        )
