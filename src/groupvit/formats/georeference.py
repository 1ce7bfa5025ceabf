"""Georeference of a GeoTIFF: positions of pixels in its coordinate reference system.

The tags are those of the GeoTIFF standard (OGC 19-008): a scale and a tie point, or a matrix.
"""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from groupvit.imaging import split_page, without_warnings

_SCALE, _TIE_POINT, _MATRIX, _KEYS, _ORIENTATION = 33550, 33922, 34264, 34735, 274
_RASTER_TYPE, _GEOGRAPHIC, _PROJECTED = 1025, 2048, 3072
_POINTS, _USER_DEFINED = 2, 32767
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, LookupError, struct.error)
_LONGITUDE_LATITUDE = 4326
"""Reference system that GeoJSON has by itself."""


class Georeference(NamedTuple):
    """Affine map from pixels to a coordinate reference system: x' = a x + b y + c."""

    matrix: tuple[float, float, float, float, float, float]
    """a, b, c and, of the second coordinate, d, e, f."""
    epsg: int | None
    """Number of the reference system; None: unknown."""

    def applied(self, values: dict[str, Any]) -> dict[str, Any]:
        """GeoJSON in pixels, as `groupvit.formats.polygons` makes it, in this system.

        Outer rings stay counter-clockwise. A system other than longitude and latitude is named in
        a member `crs`, which RFC 7946 left out and GIS programs read.
        """
        features = [
            feature | {"geometry": feature["geometry"] | {"coordinates": self._moved(feature)}}
            for feature in values["features"]
        ]
        moved = values | {"features": features}
        if self.epsg not in (None, _LONGITUDE_LATITUDE):
            name = f"urn:ogc:def:crs:EPSG::{self.epsg}"
            moved["crs"] = {"type": "name", "properties": {"name": name}}
        return moved

    def _moved(self, feature: dict[str, Any]) -> list[list[list[list[float]]]]:
        a, b, c, d, e, f = self.matrix
        turn = 1 if a * e - b * d > 0 else -1
        return [
            [[[a * x + b * y + c, d * x + e * y + f] for x, y in ring[::turn]] for ring in polygon]
            for polygon in feature["geometry"]["coordinates"]
        ]


def read(path: Path) -> Georeference | None:
    """Georeference of an image file; None if it has none, or its orientation turns the image."""
    file, page = split_page(path)
    if file.suffix.lower() not in (".tif", ".tiff"):
        return None
    try:
        with without_warnings(), Image.open(file, formats=["TIFF"]) as image:
            image.seek((page or 1) - 1)
            tags = dict(image.tag_v2)  # type: ignore[attr-defined]
        return _of_tags(tags)
    except (*_DAMAGED, TypeError, Image.DecompressionBombError):
        return None


def _of_tags(tags: dict[int, Any]) -> Georeference | None:
    if tags.get(_ORIENTATION, 1) != 1:
        return None
    keys = _keys(tags.get(_KEYS, ()))
    shift = 0.5 if keys.get(_RASTER_TYPE) == _POINTS else 0.0
    if _MATRIX in tags:
        a, b, c, d, e, f = (float(tags[_MATRIX][index]) for index in (0, 1, 3, 4, 5, 7))
    elif _SCALE in tags and _TIE_POINT in tags:
        column, row, x, y = (float(tags[_TIE_POINT][index]) for index in (0, 1, 3, 4))
        a, b, d, e = float(tags[_SCALE][0]), 0.0, 0.0, -float(tags[_SCALE][1])
        c, f = x - a * column, y - e * row
    else:
        return None
    # Positions of pixels as points are those of their centers.
    c, f = c - shift * (a + b), f - shift * (d + e)
    epsg = keys.get(_PROJECTED, keys.get(_GEOGRAPHIC, _USER_DEFINED))
    return Georeference((a, b, c, d, e, f), None if epsg == _USER_DEFINED else epsg)


def _keys(values: Sequence[int]) -> dict[int, int]:
    """Keys whose value is in the directory itself: rows of key, place 0, count, value."""
    rows = [values[start : start + 4] for start in range(4, len(values) - 3, 4)]
    return {key: value for key, place, _, value in rows if place == 0}
