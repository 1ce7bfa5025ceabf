"""Your own benchmark: a folder with pictures, masks and a list of classes."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from groupvit import images
from groupvit.errors import InputError
from groupvit.evaluation.benchmark import Sample
from groupvit.evaluation.scores import IGNORED
from groupvit.text.prompts import BACKGROUND, parse_labels

IMAGES, MASKS, CLASSES = "images", "masks", "classes.txt"
"""What the folder holds."""
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)


class Pair(NamedTuple):
    """Where a picture and its mask lie."""

    image: Path
    mask: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Pictures in `images/`, masks of the same names in `masks/`, names in `classes.txt`.

    A mask is a PNG, with a palette or grey, whose values are line numbers of `classes.txt` from 0;
    255 does not count. If the first line is `background`, 0 means what no label claims.
    """

    path: Path
    """The folder."""
    labels: tuple[str, ...]
    """The lines of `classes.txt` without the background, such as `car|taxi`."""
    has_background: bool
    """Whether the first line is `background`."""
    pairs: tuple[Pair, ...]
    """The files, in the order of the pictures' names."""

    @classmethod
    def read(cls, path: str | Path) -> "Folder":
        """List the files of a folder; they are read when asked for.

        Raises:
            InputError: A part of it is missing or empty, a picture has no mask or a mask no
                picture, or a class has no usable name.
        """
        path = Path(path)
        _check_parts(path)
        lines = _lines(path / CLASSES)
        has_background = lines[0].casefold() == BACKGROUND
        labels = tuple(lines[1:] if has_background else lines)
        _check_labels(labels, path / CLASSES)
        pairs = _pairs(path / IMAGES, path / MASKS)
        return cls(path=path, labels=labels, has_background=has_background, pairs=pairs)

    @property
    def name(self) -> str:
        """The path as it was given."""
        return str(self.path)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Read a picture and its mask.

        Raises:
            InputError: One of them cannot be read, the sizes differ, or the mask has a value that
                is no class.
        """
        pair = self.pairs[index]
        picture = images.read(pair.image)
        height, width, _ = picture.shape
        mask = _read_mask(pair, (width, height))
        num_classes = len(self.labels) + self.has_background
        strangers = np.unique(mask[(mask >= num_classes) & (mask != IGNORED)])
        if len(strangers):
            raise InputError(
                f"the mask {pair.mask} has the value {strangers[0]}, but {self.path / CLASSES} has "
                f"{num_classes} lines, numbered from 0; name the class there, or write 255 for "
                "pixels that do not count"
            )
        return Sample(picture, mask)


def _check_parts(path: Path) -> None:
    if not path.is_dir():
        raise InputError(f"no folder {path}; give one with {IMAGES}/, {MASKS}/ and {CLASSES}")
    for name in (IMAGES, MASKS):
        if not (path / name).is_dir():
            raise InputError(
                f"no folder {name}/ under {path}; a benchmark has {IMAGES}/, {MASKS}/ and {CLASSES}"
            )


def _lines(file: Path) -> list[str]:
    """The names, one for each line; blank lines at the end are none."""
    try:
        lines = [line.strip() for line in file.read_text("utf-8-sig").rstrip().splitlines()]
    except FileNotFoundError:
        raise InputError(
            f"no file {file}; write one with the name of a class in each line, in the order of the "
            "values in the masks"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as UTF-8 text: {error}") from None
    if not lines:
        raise InputError(f"{file} is empty; write the name of a class in each line")
    if "" in lines:
        raise InputError(
            f"{file}, line {lines.index('') + 1} is blank; the numbers of lines are the values in "
            "the masks, so give it a name"
        )
    return lines


def _check_labels(labels: Sequence[str], file: Path) -> None:
    try:
        parse_labels(labels)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def _pairs(folder: Path, masks: Path) -> tuple[Pair, ...]:
    """Every picture with its mask; none may stand alone."""
    found = images.find([folder])
    pairs = tuple(Pair(one.path, masks / one.name.with_suffix(".png")) for one in found)
    for pair in pairs:
        if not pair.mask.is_file():
            raise InputError(
                f"the picture {pair.image} has no mask {pair.mask}; add it, or take the picture out"
            )
    there = {mask for mask in masks.rglob("*.png") if not mask.name.startswith(".")}
    alone = there - {pair.mask for pair in pairs}
    if alone:
        raise InputError(
            f"the mask {min(alone)} has no picture under {folder}; add it, or take the mask out"
        )
    return pairs


def _read_mask(pair: Pair, size: tuple[int, int]) -> UInt8[np.ndarray, "height width"]:
    """The values of a mask; size is (width, height), checked before anything is decoded."""
    try:
        with Image.open(pair.mask, formats=["PNG"]) as image:
            if image.size != size:
                raise InputError(
                    f"the mask {pair.mask} has {image.width} x {image.height} pixels, its picture "
                    f"{size[0]} x {size[1]}; give both in the same size"
                )
            if image.mode not in ("P", "L"):
                raise InputError(
                    f"the mask {pair.mask} has the mode {image.mode}; save it as a PNG of 8 bits, "
                    "grey or with a palette, whose values are the numbers of classes"
                )
            return np.array(image)
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"the mask {pair.mask} is no PNG picture; save it as one") from None
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        raise InputError(f"the mask {pair.mask} cannot be read: {error}") from None
