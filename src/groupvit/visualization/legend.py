"""Legend beneath an overlay: color, name and share of each label that occurs."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image, ImageDraw

from groupvit.visualization.fonts import font
from groupvit.visualization.lettering import INK, MUTED, PAPER, wrap
from groupvit.visualization.shapes import draw_rounded


class _Entry(NamedTuple):
    color: tuple[int, ...]
    lines: list[str]
    share: str


def draw_legend(
    label_map: UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"],
    names: Sequence[str],
    colors: UInt8[np.ndarray, "label 3"],
    *,
    background: bool,
    width: int,
    em: int,
) -> Image.Image:
    """Draw the legend in as many columns as fit, row by row, the largest share first.

    Args:
        label_map: Index of the label of every pixel.
        names: Names of the labels, printable; long ones take several lines.
        colors: Of the labels, RGB, 0 to 255.
        background: The first label is the background, which comes last.
        width: Of the strip, in pixels; a narrow one becomes 12 em wide.
        em: The size of the text, in pixels.
    """
    width = max(width, 12 * em)
    indent, line = round(1.5 * em), round(1.4 * em)
    limit = min(width - 2 * em - indent, 18 * em)
    entries = _entries(label_map, names, colors, background=background, limit=limit, em=em)
    starts = _columns([indent + _length(entry, em) for entry in entries], width - 2 * em, 2 * em)
    rows = [entries[first : first + len(starts)] for first in range(0, len(entries), len(starts))]
    heights = [max(len(entry.lines) for entry in row) * line + em // 4 for row in rows]
    strip = Image.new("RGB", (width, sum(heights) + 2 * em - em // 4), PAPER)
    y = em
    for row, height in zip(rows, heights, strict=True):
        for start, entry in zip(starts, row, strict=False):
            _draw_entry(strip, entry, (em + start, y), indent=indent, line=line, em=em)
        y += height
    return strip


def _columns(lengths: Sequence[int], width: int, gap: int) -> list[int]:
    """Starts of the columns: as many as fit side by side, filled row by row."""
    for count in range(len(lengths), 1, -1):
        widths = [max(lengths[column::count]) for column in range(count)]
        if sum(widths) + gap * (count - 1) <= width:
            return [sum(widths[:column]) + gap * column for column in range(count)]
    return [0]


def _entries(
    label_map: np.ndarray,
    names: Sequence[str],
    colors: np.ndarray,
    *,
    background: bool,
    limit: int,
    em: int,
) -> list[_Entry]:
    counts = np.bincount(label_map.ravel(), minlength=len(names)).tolist()
    present = [index for index, count in enumerate(counts) if count]
    entries = []
    for index in sorted(present, key=lambda i: (background and i == 0, -counts[i])):
        share = _per_cent(counts[index] / label_map.size)
        left = limit - math.ceil(font(em).getlength(share)) - em // 2
        entries.append(
            _Entry(
                tuple(colors[index].tolist()),
                wrap(names[index], left, font(em, names[index])),
                share,
            )
        )
    return entries


def _per_cent(share: float) -> str:
    if share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.0f} %"


def _length(entry: _Entry, em: int) -> int:
    """Length of the text [pixels]; the share follows the last line."""
    lengths = [font(em, line).getlength(line) for line in entry.lines]
    lengths[-1] += em / 2 + font(em).getlength(entry.share)
    return math.ceil(max(lengths))


def _draw_entry(
    strip: Image.Image, entry: _Entry, place: tuple[int, int], *, indent: int, line: int, em: int
) -> None:
    (x, y), draw = place, ImageDraw.Draw(strip)
    top = y + (line - em) // 2
    draw_rounded(strip, (x, top, x + em, top + em), entry.color, radius=em / 4)
    for number, text in enumerate(entry.lines):
        middle = y + number * line + line / 2
        draw.text((x + indent, middle), text, fill=INK, font=font(em, text), anchor="lm")
    end = x + indent + font(em, text).getlength(text) + em / 2
    draw.text((end, middle), entry.share, fill=MUTED, font=font(em), anchor="lm")
