"""Map from the values or colors of masks to classes: `0=background 255=tree 808080=ignored`."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt16

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.files import (
    UNKNOWN,
    Pair,
    Read,
    Values,
    opened_mask,
    read_mask,
)
from groupvit.evaluation.scores import IGNORED
from groupvit.text.prompts import BACKGROUND, parse_label, split_words

VOC, ADE = "voc", "ade"
"""Names of the colors of PASCAL VOC, of which number i is class i, and of ADE20K's 150 classes."""
_BORDER = 0xE0E0C0
"""Color of the pixels of PASCAL VOC that do not count."""
_COLOR_MODES = ("RGB", "RGBA", "P", "L")
_IGNORED_NAMES = ("ignored", "ignore", "void")
_VALUE = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?", re.ASCII)
_COLOR = re.compile(r"#?([0-9a-fA-F]{6})")
_EXAMPLE = "write VALUE=CLASS, such as 0=background 255=tree 1-20=cat ff0000=dog 7=ignored"


class MaskTable(NamedTuple):
    """Classes of the values of masks, and the function that reads the values."""

    values: Values
    """Class of every value."""
    read: Read
    """Function that reads a mask; of a mask in color, the index of each pixel's color."""
    names: tuple[str, ...] = ()
    """Colors, as `#rrggbb`, in the order of their indices; empty for plain values."""


def mask_table(texts: Sequence[str], classes: Sequence[str]) -> MaskTable:
    """Table of a map from values or colors to classes.

    Texts have the form VALUE=CLASS, FIRST-LAST=CLASS for values of consecutive classes,
    RRGGBB=CLASS for colors, `voc` for the colors of PASCAL VOC, or `ade` for those of ADE20K. CLASS
    is the name of a class, one of its synonyms, or `ignored`. Values that no text names must not
    occur, except 255, which is ignored.

    Args:
        texts: Such as `0=background` and `255=tree`; commas may separate several in one text.
        classes: Classes in the order of their numbers, as labels; the background among them.

    Raises:
        InputError: A text has another form, names no class, or a value is named twice, or values
            and colors are mixed.
    """
    colors: dict[int, int] = {}
    values: dict[int, int] = {}
    for text in split_words(texts):
        if text.casefold() in (VOC, ADE):
            palette = _voc_colors if text.casefold() == VOC else _ade_colors
            _add(colors, palette(len(classes)), text)
            continue
        value, _, name = text.partition("=")
        value, name = value.strip(), name.strip()
        if color := _COLOR.fullmatch(value):
            _add(colors, {int(color[1], 16): _class(name, classes, text)}, text)
        elif match := _VALUE.fullmatch(value):
            first, last = int(match[1]), int(match[2] or match[1])
            number = _class(name, classes, text)
            _add(values, _consecutive(first, last, number, text, len(classes)), text)
        else:
            raise InputError(f"--mask-values {text!r} has no value of a mask; {_EXAMPLE}")
    if colors and values:
        raise InputError("--mask-values names colors and values; masks have one or the other")
    if colors:
        return _color_table(colors)
    table = np.full(256, UNKNOWN)
    table[IGNORED] = IGNORED
    table[list(values)] = list(values.values())
    return MaskTable(table, read_mask)


def _color_table(colors: Mapping[int, int]) -> MaskTable:
    known = np.array(sorted(colors), np.int64)
    names = tuple(f"#{color:06x}" for color in known.tolist())
    classes = np.array([colors[color] for color in known.tolist()])
    return MaskTable(classes, partial(_read_colors, known=known), names)


def _read_colors(
    pair: Pair, size: tuple[int, int], *, known: Values
) -> UInt16[np.ndarray, "height width"]:
    """Index of the color of every pixel among the known ones, which are sorted."""
    with opened_mask(pair.mask, size, modes=_COLOR_MODES) as image:
        rgb = np.asarray(image.convert("RGB")).astype(np.int64)
    colors = rgb @ np.array([1 << 16, 1 << 8, 1])
    found = np.searchsorted(known, colors).clip(max=len(known) - 1)
    others = np.unique(colors[known[found] != colors])
    if len(others):
        more = f" and {len(others) - 1:,} other colors" if len(others) > 1 else ""
        raise InputError(
            f"the mask {pair.mask} has the color {others[0]:06x}{more}, which --mask-values does "
            f"not name; add {others[0]:06x}=CLASS, or {others[0]:06x}=ignored"
        )
    indices: UInt16[np.ndarray, "height width"] = found.astype(np.uint16)
    return indices


def _class(name: str, classes: Sequence[str], text: str) -> int:
    """Number of the class of this name."""
    wanted = " ".join(name.split()).casefold()
    for number, label in enumerate(classes):
        words = (BACKGROUND,) if label.casefold() == BACKGROUND else parse_label(label).words
        if wanted in (label.casefold(), *(word.casefold() for word in words)):
            return number
    if wanted in _IGNORED_NAMES:
        return IGNORED
    raise InputError(
        f"--mask-values {text!r} names no class; the classes are {', '.join(classes)}, and "
        f"ignored; {_EXAMPLE}"
    )


def _consecutive(first: int, last: int, number: int, text: str, num_classes: int) -> dict[int, int]:
    """Classes of the values from the first to the last: consecutive ones, or all ignored."""
    end = number if number == IGNORED else number + last - first
    if not first <= last <= IGNORED or (number != IGNORED and end >= num_classes):
        raise InputError(
            f"--mask-values {text!r} is no range of values with a class for each; values go from 0 "
            f"to {IGNORED}, and there are {num_classes} classes"
        )
    step = 0 if number == IGNORED else 1
    return {value: number + step * (value - first) for value in range(first, last + 1)}


def _add(table: dict[int, int], more: Mapping[int, int], text: str) -> None:
    if table.keys() & more.keys():
        raise InputError(f"--mask-values {text!r} names a value that another text names; keep one")
    table.update(more)


def _voc_colors(num_classes: int) -> dict[int, int]:
    """Colors of the classes: bit 3 k + c of the number is bit 7 - k of channel c (VOC devkit)."""
    colors = {_BORDER: IGNORED}
    for number in range(min(num_classes, IGNORED)):
        channels = [
            sum((number >> (3 * k + channel) & 1) << (7 - k) for k in range(3))
            for channel in range(3)
        ]
        colors[channels[0] << 16 | channels[1] << 8 | channels[2]] = number
    return colors


def _ade_colors(num_classes: int) -> dict[int, int]:
    """Colors of the classes in the order of ADE20K, without one that two classes share.

    Black is ignored. The colors are those of the MIT scene parsing benchmark.
    """
    lines = files(__package__).joinpath("ade_colors.txt").read_text("utf-8").split()
    named = Counter(lines)
    colors = {int(line, 16): number for number, line in enumerate(lines) if named[line] == 1}
    return {0: IGNORED} | {color: one for color, one in colors.items() if one < num_classes}
