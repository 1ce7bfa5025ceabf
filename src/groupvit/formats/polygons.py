"""Label maps as GeoJSON polygons along the edges of pixels.

All outlines are traced at once with array operations, in three steps:

1. `_trace` finds the straight sides of all outlines, and for each the side that follows it.
2. `_close` follows the sides into closed rings, and finds which rings are holes of which.
3. `_polygons` collects rings by label: an outer ring, then its holes.

Axes:
    ring: closed outlines, of regions and of their holes.
    side: straight pieces of outlines, as long as possible.
    end: pixels where such pieces start or stop.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from groupvit.formats.label_maps import LabelMap, category, check


def geojson(
    label_map: LabelMap, labels: Sequence[str], *, background: bool = False
) -> dict[str, Any]:
    """GeoJSON FeatureCollection with one MultiPolygon for each label of the image.

    Coordinates are pixels, not degrees: x to the right, y down, [0, 0] is the upper left corner of
    the image. Outlines run along the edges of pixels, and only their corners are kept. Regions that
    touch only at a corner are separate polygons. As numbers, outer rings turn counter-clockwise and
    holes clockwise (RFC 7946); in the image, where y points down, outer rings turn clockwise. The
    properties are `label`, `label_index`, the number of `pixels`, and those that QuPath reads:
    `name`, and `classification` with a `name`.

    Args:
        label_map: Index of the label of every pixel.
        labels: Names of the labels.
        background: Include a first label "background".

    Raises:
        InputError: The map holds an index without a label.
    """
    check(label_map, len(labels))
    polygons = _polygons(label_map)
    pixels = np.bincount(label_map.ravel(), minlength=len(labels)).tolist()
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "MultiPolygon", "coordinates": polygons[index]},
            "properties": {
                "label": labels[index],
                "label_index": index,
                "pixels": pixels[index],
                "name": labels[index],
                "classification": {"name": labels[index]},
            },
        }
        for index in sorted(polygons)
        if background or category(index, labels)
    ]
    return {"type": "FeatureCollection", "features": features}


class _Sides(NamedTuple):
    """Straight pieces of all outlines; the region lies to the right of each.

    A side of facing 0 runs along the tops of pixels to the right, 1 along their right edges down,
    2 along their bottoms to the left, 3 along their left edges up. Sides are sorted by facing, then
    by `place`: the index of the first pixel in the flattened map, turned so that the side runs
    along the top.
    """

    facing: Int[np.ndarray, " side"]
    place: Int[np.ndarray, " side"]
    row: Int[np.ndarray, " side"]
    column: Int[np.ndarray, " side"]
    x: Int[np.ndarray, " side"]
    y: Int[np.ndarray, " side"]
    """Corner (x, y) where the side starts; row and column are those of its first pixel."""
    successor: Int[np.ndarray, " side"]
    """Next side of the outline, around pixels that are connected along edges."""
    across: Int[np.ndarray, " side"]
    """The same, but where two pixels of a label touch only at a corner, that of the other pixel."""


class _Rings(NamedTuple):
    """Closed outlines, made of sides."""

    order: Int[np.ndarray, " side"]
    """Sides in the order of the rings, one ring after the other."""
    starts: Int[np.ndarray, " ring"]
    """Index in `order` of each ring's first side."""
    ring_of: Int[np.ndarray, " side"]
    """Ring of each side."""
    outer: Bool[np.ndarray, " ring"]
    """Outer rings; the others are holes."""
    owner: Int[np.ndarray, " ring"]
    """Outer ring of the region that the ring bounds; an outer ring's own index."""


def _polygons(label_map: LabelMap) -> dict[int, list[list[list[list[int]]]]]:
    """Polygons of each label that occurs: an outer ring, then holes, as lists of [x, y]."""
    sides = _trace(label_map)
    rings = _close(label_map, sides, sides.successor)
    # Where a region meets itself at a corner, its ring would touch itself, which is no valid
    # polygon: there the ring is split in two, by crossing over to the other pixel.
    region = rings.owner[rings.ring_of]
    meets = region[sides.across] == region
    rings = _close(label_map, sides, np.where(meets, sides.across, sides.successor))
    points = np.stack([sides.x, sides.y], axis=1)[rings.order].tolist()
    first = rings.order[rings.starts]
    label = label_map[sides.row[first], sides.column[first]].tolist()
    bounds = itertools.pairwise([*rings.starts.tolist(), len(points)])
    closed = [[*points[start:stop], points[start]] for start, stop in bounds]
    # One polygon for each outer ring; every hole is appended to that of its owner.
    whole = {ring: [closed[ring]] for ring in np.flatnonzero(rings.outer).tolist()}
    for hole in np.flatnonzero(~rings.outer).tolist():
        whole[int(rings.owner[hole])].append(closed[hole])
    polygons: dict[int, list[list[list[list[int]]]]] = {}
    for ring, polygon in whole.items():
        polygons.setdefault(label[ring], []).append(polygon)
    return polygons


def _trace(label_map: LabelMap) -> _Sides:
    """Sides of all outlines: those along the tops of pixels, of the map turned four times."""
    padded = np.pad(label_map.astype(np.int32), 1, constant_values=-1)  # -1 is outside
    starts = []
    following: list[np.ndarray] = []
    crossing: list[np.ndarray] = []
    for turns in range(4):
        turned = np.rot90(padded, turns)
        here, ahead, behind = turned[1:-1, 1:-1], turned[1:-1, 2:], turned[1:-1, :-2]
        above, above_ahead, above_behind = turned[:-2, 1:-1], turned[:-2, 2:], turned[:-2, :-2]
        # An edge begins a side unless the pixel behind it, of the same label, has an edge too; it
        # ends one in the same way.
        edge = here != above
        start = edge & ~((behind == here) & (above_behind != here))
        stop = edge & ~((ahead == here) & (above_ahead != here))
        row, column = np.nonzero(start)
        place = row * here.shape[1] + column
        starts.append([np.full_like(row, turns), place, *_turn(row, column, here.shape, 4 - turns)])
        # After a stop the outline turns around this pixel, to the right; or to the left, up along
        # the pixel ahead and above. `crossing` prefers the latter where only a corner is shared.
        row, column = np.nonzero(stop)
        for keys, up in (
            (following, (ahead == here)[stop]),
            (crossing, (above_ahead == here)[stop]),
        ):
            next_pixel = _turn(row - up, column + up, here.shape, 4 - turns)
            keys.append(_key((turns + 1 - 2 * up) % 4, *next_pixel, label_map.shape))
    facing, place, row, column = np.concatenate(starts, axis=1)
    x, y = column + np.isin(facing, (1, 2)), row + np.isin(facing, (2, 3))
    sides = facing * label_map.size + place  # sorted, so that keys are found by bisection
    successor, across = (
        np.searchsorted(sides, np.concatenate(keys)) for keys in (following, crossing)
    )
    return _Sides(facing, place, row, column, x, y, successor, across)


def _turn(
    row: Int[np.ndarray, " end"], column: Int[np.ndarray, " end"], shape: tuple[int, int], by: int
) -> tuple[Int[np.ndarray, " end"], Int[np.ndarray, " end"]]:
    """New row and column of pixels of a map of this shape after `by` turns of `numpy.rot90`."""
    height, width = shape
    for _ in range(by):
        row, column = width - 1 - column, row
        height, width = width, height
    return row, column


def _key(
    facing: Int[np.ndarray, " end"],
    row: Int[np.ndarray, " end"],
    column: Int[np.ndarray, " end"],
    shape: tuple[int, int],
) -> Int[np.ndarray, " end"]:
    """Sort key of sides, facing then place, from the pixels that they start at."""
    height, width = shape
    keys = np.zeros_like(row)
    for turns in range(4):
        turned_row, turned_column = _turn(row, column, shape, turns)
        place = turned_row * (height if turns % 2 else width) + turned_column
        keys = np.where(facing == turns, turns * height * width + place, keys)
    return keys


def _close(label_map: LabelMap, sides: _Sides, successor: Int[np.ndarray, " side"]) -> _Rings:
    """Rings that the sides form if each is followed by its successor."""
    order, starts = _follow(successor.tolist())
    ring_of = np.empty_like(order)
    ring_of[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
    # Shoelace formula: the signed area of a ring is positive for outer rings, as y points down.
    twice_area = sides.x * sides.y[successor] - sides.x[successor] * sides.y
    outer = np.add.reduceat(twice_area[order], starts) > 0
    owner = np.where(
        outer, np.arange(len(starts)), _left_of(label_map, sides, order, starts, ring_of)
    )
    while not outer[owner].all():  # a hole to the left of another hole: take that one's owner
        owner = owner[owner]
    return _Rings(order, starts, ring_of, outer, owner)


def _follow(successor: list[int]) -> tuple[Int[np.ndarray, " side"], Int[np.ndarray, " ring"]]:
    """Sides in the order of the rings, and the index in it of each ring's first side."""
    order: list[int] = []
    starts: list[int] = []
    seen = bytearray(len(successor))
    for first in range(len(successor)):
        if seen[first]:
            continue
        starts.append(len(order))
        side = first
        while not seen[side]:
            seen[side] = 1
            order.append(side)
            side = successor[side]
    return np.array(order), np.array(starts)


def _left_of(
    label_map: LabelMap,
    sides: _Sides,
    order: Int[np.ndarray, " side"],
    starts: Int[np.ndarray, " ring"],
    ring_of: Int[np.ndarray, " side"],
) -> Int[np.ndarray, " ring"]:
    """First ring of the same region to the left of each hole; undefined for outer rings.

    The region lies to the left of a hole's leftmost side. Farther left the region ends, either at
    its outer ring or at another of its holes, which then reaches farther left than this one.
    """
    width = label_map.shape[1]
    # The leftmost side of each ring, among those along right edges of pixels: the smallest of
    # column * sides + index, whose remainder is the index.
    to_left = np.where(sides.facing == 1, sides.column, width)
    ranked = (to_left * len(order) + np.arange(len(order)))[order]
    leftmost = np.minimum.reduceat(ranked, starts) % len(order)
    # The first pixel of the run of equal labels that each pixel lies in, row by row.
    entry = np.pad(label_map[:, 1:] != label_map[:, :-1], ((0, 0), (1, 0)), constant_values=True)
    entries = np.maximum.accumulate(np.where(entry, np.arange(width), 0), axis=1)
    row = sides.row[leftmost]
    column = entries[row, sides.column[leftmost]]
    key = _key(np.full_like(row, 3), row, column, label_map.shape)
    keys = sides.facing * label_map.size + sides.place
    # The left edge of that pixel belongs to the last side that starts at or before it.
    return ring_of[np.searchsorted(keys, key, side="right") - 1]
