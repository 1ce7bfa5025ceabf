"""Positions of the names of regions on an image.

Axes:
    row, column: of a reduced label map, on which positions are searched.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8, UInt16

from groupvit.visualization.fonts import font
from groupvit.visualization.lettering import shorten

ENOUGH = 0.65
"""A name is left out where less than this share of its box lies in its region."""
GOOD = 0.9
"""A name is not made smaller where this share does."""
STEP = 0.05
"""A place less deep in the region must be better by this share."""


class Name(NamedTuple):
    """A name in a box on the image [pixels]."""

    label: int
    text: str
    size: int
    box: tuple[int, int, int, int]


def place_names(
    label_map: UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"],
    names: Sequence[str],
    em: int,
    *,
    background: bool,
) -> Iterator[Name]:
    """Place the names of regions, the largest first; one that fits nowhere is left out.

    Args:
        label_map: Index of the label of every pixel.
        names: Names of the labels, printable; long ones are shortened.
        em: The largest size of their text, in pixels.
        background: The first label is the background and has no name.
    """
    height, width = label_map.shape
    # Squeezed, because names are wider than high: a deep place in it is a wide one in the image.
    rows, columns = min(height, 160), min(width, 400, max(1, round(64 * width / height)))
    y = ((np.arange(rows) + 0.5) * height / rows).astype(int)
    x = ((np.arange(columns) + 0.5) * width / columns).astype(int)
    small = label_map[y[:, None], x]
    taken: list[tuple[int, int, int, int]] = []
    for index, places in _regions(small):
        if background and index == 0:
            continue
        candidates = [(int(x[column]), int(y[row])) for row, column in places]
        name = _place(index, names[index], em, candidates, label_map, taken)
        if name is not None:
            taken.append(name.box)
            yield name


def _place(
    label: int,
    text: str,
    em: int,
    candidates: Sequence[tuple[int, int]],
    label_map: np.ndarray,
    taken: Sequence[tuple[int, int, int, int]],
) -> Name | None:
    """Largest text that lies in its region, or else the position where most of it does."""
    height, width = label_map.shape
    best, best_share = None, ENOUGH
    for size in (em, max(10, round(0.85 * em)), max(10, round(0.7 * em))):
        face = font(size, text)
        short = shorten(text, min(width // 2, 14 * size), face)
        box_width, box_height, edge = (
            round(face.getlength(short) + size),
            round(1.5 * size),
            size // 4,
        )
        if box_width + 2 * edge > width or box_height + 2 * edge > height or short == "…":
            continue
        for x, y in candidates:
            left = min(max(x - box_width // 2, edge), width - box_width - edge)
            top = min(max(y - box_height // 2, edge), height - box_height - edge)
            box = (left, top, left + box_width, top + box_height)
            share = float((label_map[top : box[3] : 3, left : box[2] : 3] == label).mean())
            if share > best_share and not any(_overlap(box, other, edge) for other in taken):
                best, best_share = Name(label, short, size, box), share + STEP
        if best_share > GOOD:
            break
    return best


def _overlap(box: tuple[int, int, int, int], other: tuple[int, int, int, int], gap: int) -> bool:
    return (
        box[0] < other[2] + gap
        and other[0] < box[2] + gap
        and box[1] < other[3] + gap
        and other[1] < box[3] + gap
    )


def _regions(
    small: np.ndarray,
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Label and some positions, the deepest first, of connected regions, the largest first."""
    depths = _depths(small)
    parts = _connected(small)
    roots, counts = np.unique(parts, return_counts=True)
    for part in np.argsort(-counts, kind="stable"):
        if counts[part] < 0.003 * small.size:
            break
        row, column = np.nonzero(parts == roots[part])
        depth = depths[row, column]
        deepest = depth == depth.max()
        away = np.hypot(row - row[deepest].mean(), column - column[deepest].mean())
        order = np.lexsort((away, -depth))
        order = order[:: max(1, len(order) // 24)]
        places = np.stack([row, column], axis=1)[order].tolist()
        yield int(small[row[0], column[0]]), [(r, c) for r, c in places]


def _depths(small: np.ndarray) -> Int[np.ndarray, "row column"]:
    """Distance of each position from other labels and from the edge of the image [steps]."""
    padded = np.pad(small.astype(np.int32), 1, constant_values=-1)
    rows, columns = small.shape
    around = [(dy, dx) for dy in range(3) for dx in range(3) if (dy, dx) != (1, 1)]
    straight = [(0, 1), (1, 0), (1, 2), (2, 1)]
    inside = np.ones(small.shape, bool)
    for dy, dx in around:
        inside &= padded[dy : dy + rows, dx : dx + columns] == small
    depths = np.zeros(small.shape, np.int64)
    while inside.any():
        depths += inside
        edged = np.pad(inside, 1)
        # Crosses and squares in turn wear off roughly circles.
        for dy, dx in straight if depths.max() % 2 else around:
            inside = inside & edged[dy : dy + rows, dx : dx + columns]
    return depths


def _connected(small: np.ndarray) -> Int[np.ndarray, "row column"]:
    """Index of the first position of the connected region that each position belongs to."""
    first = np.arange(small.size).reshape(small.shape)
    right, down = small[:, 1:] == small[:, :-1], small[1:] == small[:-1]
    while True:
        last = first.copy()
        for a, b, same in ((first[:, 1:], first[:, :-1], right), (first[1:], first[:-1], down)):
            np.minimum(a, b, out=a, where=same)
            np.minimum(b, a, out=b, where=same)
        # What a place points to may point farther by now.
        first = first.ravel()[first]
        if np.array_equal(first, last):
            return first
