"""Label maps as files of other programs: index PNG, COCO, GeoJSON.

Axes:
    ring: closed outlines, of regions and of their holes.
    side: straight pieces of outlines, as long as they go.
    end: pixels where such pieces start or stop.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int, UInt8, UInt16
from PIL import Image

from groupvit.errors import InputError

LabelMap = UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]
"""For each pixel the index of its label."""


def index_png(label_map: LabelMap, colors: UInt8[np.ndarray, "label 3"]) -> Image.Image:
    """Give an image to be saved as PNG whose pixel values are the indices of the labels.

    Up to 256 labels it has one byte a pixel and a palette (mode P); beyond that two bytes a pixel
    and no colors (mode I;16).

    Args:
        label_map: For each pixel the index of its label.
        colors: One for each label, RGB, 0 to 255.

    Raises:
        InputError: The map holds an index without a color.
    """
    _check(label_map, len(colors))
    if len(colors) > 256:
        return Image.fromarray(label_map.astype(np.uint16))
    image = Image.fromarray(label_map.astype(np.uint8))
    image.putpalette(colors.tobytes())
    return image


class CocoDataset:
    """A COCO data set that grows image by image; only the run lengths are kept.

    Ids of images, categories and annotations count from 1. A first label "background" is no
    category.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = tuple(labels)
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, file_name: str, label_map: LabelMap) -> None:
        """Add a segmented image.

        Args:
            file_name: Where the image lies, below the folder of the data set.
            label_map: For each pixel the index of its label.

        Raises:
            InputError: The map holds an index without a label.
        """
        height, width = label_map.shape
        number = len(self._images) + 1
        self._annotations += coco_annotations(
            label_map, self._labels, image_id=number, first_id=len(self._annotations) + 1
        )
        self._images.append(
            {"id": number, "file_name": file_name, "width": width, "height": height}
        )

    def to_values(self) -> dict[str, Any]:
        """Give the whole data set, ready for `json.dump`."""
        categories = [
            {"id": _category(index, self._labels), "name": label, "supercategory": ""}
            for index, label in enumerate(self._labels)
            if _category(index, self._labels)
        ]
        return {
            "images": self._images,
            "categories": categories,
            "annotations": self._annotations,
        }


def coco_annotations(
    label_map: LabelMap, labels: Sequence[str], *, image_id: int, first_id: int = 1
) -> list[dict[str, Any]]:
    """Give one COCO annotation for each label of the image, in the order of the labels.

    The mask is given as run lengths, uncompressed and column by column, as pycocotools reads them.
    The box is [left, top, width, height] in pixels, the area is in pixels. A first label
    "background" is left out.

    Args:
        label_map: For each pixel the index of its label.
        labels: What the map points to.
        image_id: The image's id in the data set.
        first_id: The id of the first annotation; the others count on.

    Raises:
        InputError: The map holds an index without a label.
    """
    _check(label_map, len(labels))
    present = [i for i in np.unique(label_map).tolist() if _category(i, labels)]
    return [
        {
            "id": annotation_id,
            "image_id": image_id,
            "category_id": _category(index, labels),
            "iscrowd": 0,
            **_mask_fields(label_map == index),
        }
        for annotation_id, index in enumerate(present, start=first_id)
    ]


def geojson(
    label_map: LabelMap, labels: Sequence[str], *, background: bool = False
) -> dict[str, Any]:
    """Give a GeoJSON FeatureCollection with a MultiPolygon for each label of the image.

    Coordinates are pixels, not degrees: x to the right, y down, [0, 0] is the upper left corner
    of the image. Outlines run exactly along the edges of pixels, and only their corners are
    kept. Regions that touch at a corner only are separate polygons. As numbers, outer rings turn
    counter-clockwise and holes clockwise, as RFC 7946 asks; looked at in the image, where y
    points down, outer rings turn clockwise. The properties are the `label`, its `label_index` and
    its count of `pixels`.

    Args:
        label_map: For each pixel the index of its label.
        labels: What the map points to.
        background: Whether a first label "background" is written too.

    Raises:
        InputError: The map holds an index without a label.
    """
    _check(label_map, len(labels))
    polygons = _polygons(label_map)
    pixels = np.bincount(label_map.ravel(), minlength=len(labels)).tolist()
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "MultiPolygon", "coordinates": polygons[index]},
            "properties": {"label": labels[index], "label_index": index, "pixels": pixels[index]},
        }
        for index in sorted(polygons)
        if background or _category(index, labels)
    ]
    return {"type": "FeatureCollection", "features": features}


def _check(label_map: LabelMap, count: int) -> None:
    if label_map.size == 0:
        raise InputError(f"label map of shape {label_map.shape} is empty; give one with pixels")
    highest = int(label_map.max())
    if highest >= count:
        raise InputError(
            f"label map holds the index {highest} but there are {count} labels; "
            "give one for every index"
        )


def _category(index: int, labels: Sequence[str]) -> int:
    """The COCO category, from 1; 0 is the background."""
    return index if labels[0] == "background" else index + 1


def _mask_fields(mask: np.ndarray) -> dict[str, Any]:
    flat = mask.ravel(order="F")
    # Runs of zeros and ones take turns, and the first is of zeros, if need be of none.
    changes = np.flatnonzero(np.diff(flat, prepend=False, append=not flat[-1]))
    counts = np.diff(changes, prepend=0).tolist()
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return {
        "segmentation": {"size": list(mask.shape), "counts": counts},
        "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
        "area": int(mask.sum()),
    }


class _Sides(NamedTuple):
    """The straight pieces of all outlines; the region lies to the right of each.

    Facing 0 runs along the top of pixels to the right, 1 along their right sides down, 2 along
    their bottoms to the left, 3 along their left sides up. The pieces are sorted by facing and
    then by `place`, the count of the first pixel in the map turned so that they run along the top.
    """

    facing: Int[np.ndarray, " side"]
    place: Int[np.ndarray, " side"]
    row: Int[np.ndarray, " side"]
    column: Int[np.ndarray, " side"]
    x: Int[np.ndarray, " side"]
    y: Int[np.ndarray, " side"]
    """Where the side starts; row and column are those of its first pixel."""
    successor: Int[np.ndarray, " side"]
    """The next side, around pixels that are connected along edges."""
    across: Int[np.ndarray, " side"]
    """The same, but where two pixels of one label touch at a corner, over to the other pixel."""


class _Rings(NamedTuple):
    """Closed outlines, made of sides."""

    order: Int[np.ndarray, " side"]
    """The sides as the rings visit them, one ring after the other."""
    starts: Int[np.ndarray, " ring"]
    """Where in the order each ring starts."""
    ring_of: Int[np.ndarray, " side"]
    outer: Bool[np.ndarray, " ring"]
    owner: Int[np.ndarray, " ring"]
    """The outer ring of the region that the ring bounds."""


def _polygons(label_map: LabelMap) -> dict[int, list[list[list[list[int]]]]]:
    """For each label present, its polygons: an outer ring, then holes, of [x, y] each."""
    sides = _trace(label_map)
    rings = _close(label_map, sides, sides.successor)
    # Where a region meets itself at a corner, its ring would touch itself, which is no valid
    # polygon: there the ring is split in two.
    region = rings.owner[rings.ring_of]
    meets = region[sides.across] == region
    rings = _close(label_map, sides, np.where(meets, sides.across, sides.successor))
    points = np.stack([sides.x, sides.y], axis=1)[rings.order].tolist()
    first = rings.order[rings.starts]
    label = label_map[sides.row[first], sides.column[first]].tolist()
    bounds = itertools.pairwise([*rings.starts.tolist(), len(points)])
    closed = [[*points[start:stop], points[start]] for start, stop in bounds]
    whole = {ring: [closed[ring]] for ring in np.flatnonzero(rings.outer).tolist()}
    for hole in np.flatnonzero(~rings.outer).tolist():
        whole[int(rings.owner[hole])].append(closed[hole])
    polygons: dict[int, list[list[list[list[int]]]]] = {}
    for ring, polygon in whole.items():
        polygons.setdefault(label[ring], []).append(polygon)
    return polygons


def _trace(label_map: LabelMap) -> _Sides:
    """Find the outlines of all labels at once: four times the tops, of the map turned."""
    padded = np.pad(label_map.astype(np.int32), 1, constant_values=-1)
    starts = []
    following: list[np.ndarray] = []
    crossing: list[np.ndarray] = []
    for turns in range(4):
        turned = np.rot90(padded, turns)
        here, ahead, behind = turned[1:-1, 1:-1], turned[1:-1, 2:], turned[1:-1, :-2]
        above, above_ahead, above_behind = turned[:-2, 1:-1], turned[:-2, 2:], turned[:-2, :-2]
        edge = here != above
        start = edge & ~((behind == here) & (above_behind != here))
        stop = edge & ~((ahead == here) & (above_ahead != here))
        row, column = np.nonzero(start)
        place = row * here.shape[1] + column
        starts.append([np.full_like(row, turns), place, *_turn(row, column, here.shape, 4 - turns)])
        # At a stop the outline goes on around this pixel, or up along the one ahead and above.
        row, column = np.nonzero(stop)
        for keys, up in (
            (following, (ahead == here)[stop]),
            (crossing, (above_ahead == here)[stop]),
        ):
            next_pixel = _turn(row - up, column + up, here.shape, 4 - turns)
            keys.append(_key((turns + 1 - 2 * up) % 4, *next_pixel, label_map.shape))
    facing, place, row, column = np.concatenate(starts, axis=1)
    x, y = column + np.isin(facing, (1, 2)), row + np.isin(facing, (2, 3))
    sides = facing * label_map.size + place
    successor, across = (
        np.searchsorted(sides, np.concatenate(keys)) for keys in (following, crossing)
    )
    return _Sides(facing, place, row, column, x, y, successor, across)


def _turn(
    row: Int[np.ndarray, " end"], column: Int[np.ndarray, " end"], shape: tuple[int, int], by: int
) -> tuple[Int[np.ndarray, " end"], Int[np.ndarray, " end"]]:
    """Where pixels of a map of this shape go when `numpy.rot90` turns it."""
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
    """The number by which sides are sorted: facing, then place."""
    height, width = shape
    keys = np.zeros_like(row)
    for turns in range(4):
        turned_row, turned_column = _turn(row, column, shape, turns)
        place = turned_row * (height if turns % 2 else width) + turned_column
        keys = np.where(facing == turns, turns * height * width + place, keys)
    return keys


def _close(label_map: LabelMap, sides: _Sides, successor: Int[np.ndarray, " side"]) -> _Rings:
    order, starts = _follow(successor.tolist())
    ring_of = np.empty_like(order)
    ring_of[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
    twice_area = sides.x * sides.y[successor] - sides.x[successor] * sides.y
    outer = np.add.reduceat(twice_area[order], starts) > 0
    owner = np.where(
        outer, np.arange(len(starts)), _left_of(label_map, sides, order, starts, ring_of)
    )
    while not outer[owner].all():
        owner = owner[owner]
    return _Rings(order, starts, ring_of, outer, owner)


def _follow(successor: list[int]) -> tuple[Int[np.ndarray, " side"], Int[np.ndarray, " ring"]]:
    """The sides in the order in which rings visit them, and where in it each ring starts."""
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
    """For each hole the ring of the same region that is met first when going to the left.

    To the left of a hole's leftmost side lies its region. Farther left one leaves the region
    through its outer ring or enters another of its holes, which reaches farther left than this.
    """
    width = label_map.shape[1]
    to_left = np.where(sides.facing == 1, sides.column, width)
    ranked = (to_left * len(order) + np.arange(len(order)))[order]
    leftmost = np.minimum.reduceat(ranked, starts) % len(order)
    entry = np.pad(label_map[:, 1:] != label_map[:, :-1], ((0, 0), (1, 0)), constant_values=True)
    entries = np.maximum.accumulate(np.where(entry, np.arange(width), 0), axis=1)
    row = sides.row[leftmost]
    column = entries[row, sides.column[leftmost]]
    key = _key(np.full_like(row, 3), row, column, label_map.shape)
    keys = sides.facing * label_map.size + sides.place
    # The side that the pixel lies on is the last one that starts at or before it.
    return ring_of[np.searchsorted(keys, key, side="right") - 1]
