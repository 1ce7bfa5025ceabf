"""Coat of a scene in which color tells nothing: every class has a pattern of its own.

All classes of a scene share the colors of one small palette, drawn anew for each scene. A class is
painted in two of them, about half of its area in each, by a pattern that no other class has:
stripes, checks, rings, bricks. Only the pattern distinguishes the classes.
"""

import math
import random
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from PIL import Image

from groupvit.storybook.colors import NAMED, vary

PALETTE = 3
"""Number of colors of a scene; every class has two. Of 2 in all, things would hardly be visible."""
CELL = 0.085
"""Mean length after which a pattern repeats / side of the image."""

Plane = Float32[np.ndarray, "side side"]
"""Coordinate of every pixel; a pattern repeats after 1."""
Pattern = Callable[[Plane, Plane], Bool[np.ndarray, "side side"]]
"""Pixels of a pattern in the first of its two colors, by column and row."""


def coat(
    mask: UInt8[np.ndarray, "side side"], classes: tuple[str, ...], rng: random.Random
) -> Image.Image:
    """Image of a mask, every class in its pattern.

    Args:
        mask: Index into `classes` of every pixel.
        classes: Names of the classes, all with a pattern.
        rng: Source of the colors, and of shift, size and angle of the patterns.
    """
    palette = [vary(rng, NAMED[name]) for name in rng.sample(sorted(NAMED), PALETTE)]
    image = np.zeros((*mask.shape, 3), np.uint8)
    for index in np.unique(mask).tolist():
        own = mask == index
        first, second = rng.sample(palette, 2)
        figure = PATTERNS[classes[index]](*_planes(len(mask), rng))
        image[own & figure], image[own & ~figure] = first, second
    return Image.fromarray(image)


def _planes(side: int, rng: random.Random) -> tuple[Plane, Plane]:
    """Columns and rows in units of the pattern: shifted, a little scaled and rotated."""
    scale = 1 / (CELL * rng.uniform(0.87, 1.15))
    angle, left, top = rng.uniform(-0.12, 0.12), 8 * rng.random(), 8 * rng.random()
    rows, columns = np.indices((side, side), dtype=np.float32) / side
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    return left + cos * columns - sin * rows, top + sin * columns + cos * rows


def _wave(x: Plane, length: float = 2.0) -> Plane:
    """Triangle wave from 0 to 1 and back."""
    return np.abs(2 * (x / length % 1) - 1)


def _stripes(columns: float, rows: float) -> Pattern:
    return lambda x, y: (columns * x + rows * y) % 1 < 0.5


def _distance(x: Plane, y: Plane) -> Plane:
    """Distance from the center of the cell, at most 0.71."""
    return np.hypot(x % 1 - 0.5, y % 1 - 0.5)


def _dots(x: Plane, y: Plane) -> Bool[np.ndarray, "side side"]:
    return _distance(x, y) < 0.4


def _grain(x: Plane, y: Plane) -> Bool[np.ndarray, "side side"]:
    """Small dots in rows that are shifted by half."""
    x, y = 2.2 * x, 2.2 * y
    return _distance(x + 0.5 * (np.floor(y) % 2), y) < 0.4


def _rings(x: Plane, y: Plane) -> Bool[np.ndarray, "side side"]:
    distance = _distance(x / 1.5, y / 1.5)
    return (distance > 0.2) & (distance < 0.44)


def _scales(x: Plane, y: Plane) -> Bool[np.ndarray, "side side"]:
    """Half disks in rows that are shifted by half, as on a roof."""
    y = 1.4 * y
    return np.hypot((x + 0.5 * (np.floor(y) % 2)) % 1 - 0.5, 0.7 * (y % 1)) < 0.46


def _bricks(x: Plane, y: Plane) -> Bool[np.ndarray, "side side"]:
    y = 1.6 * y
    return ((0.8 * x + 0.5 * (np.floor(y) % 2)) % 1 < 0.78) & (y % 1 < 0.65)


def _checks(x: Plane, y: Plane) -> Bool[np.ndarray, "side side"]:
    return (np.floor(1.6 * x) + np.floor(1.6 * y)) % 2 < 1


def _diamonds(x: Plane, y: Plane) -> Bool[np.ndarray, "side side"]:
    return np.abs(x % 1 - 0.5) + np.abs(0.6 * y % 1 - 0.5) < 0.5


def _grid(x: Plane, y: Plane) -> Bool[np.ndarray, "side side"]:
    return (x % 1 < 0.3) | (y % 1 < 0.3)


def _crosses(x: Plane, y: Plane) -> Bool[np.ndarray, "side side"]:
    """Plus signs."""
    x, y = np.abs(0.8 * x % 1 - 0.5), np.abs(0.8 * y % 1 - 0.5)
    plus: Bool[np.ndarray, "side side"] = ((x < 0.17) | (y < 0.17)) & (np.maximum(x, y) < 0.44)
    return plus


def _exes(x: Plane, y: Plane) -> Bool[np.ndarray, "side side"]:
    x, y = np.abs(0.8 * x % 1 - 0.5), np.abs(0.8 * y % 1 - 0.5)
    strokes: Bool[np.ndarray, "side side"] = (np.abs(x - y) < 0.17) & (np.maximum(x, y) < 0.46)
    return strokes


def _triangles(x: Plane, y: Plane) -> Bool[np.ndarray, "side side"]:
    return np.abs(x % 1 - 0.5) < 0.5 * (y % 1)


def _weave(x: Plane, y: Plane) -> Bool[np.ndarray, "side side"]:
    """Squares of horizontal and of vertical stripes in turn."""
    level = (np.floor(0.7 * x) + np.floor(0.7 * y)) % 2 < 1
    return np.where(level, 2.1 * y % 1, 2.1 * x % 1) < 0.5


def _dashes(x: Plane, y: Plane) -> Bool[np.ndarray, "side side"]:
    """Short upright strokes in rows that are shifted by half."""
    y = 0.6 * y
    return ((1.4 * x + 0.5 * (np.floor(y) % 2)) % 1 < 0.6) & (y % 1 < 0.8)


def _crescents(x: Plane, y: Plane) -> Bool[np.ndarray, "side side"]:
    x, y = 0.75 * x % 1 - 0.5, 0.75 * y % 1 - 0.5
    return (np.hypot(x, y) < 0.46) & (np.hypot(x - 0.22, y) > 0.32)


PATTERNS: dict[str, Pattern] = {
    "sky": _stripes(0.0, 1.3),
    "grass": _dashes,
    "sand": _grain,
    "sea": lambda x, y: (y + 0.5 * _wave(x)) % 1 < 0.5,
    "snow": _crosses,
    "road": _stripes(0.9, 0.9),
    "wall": _bricks,
    "floor": _checks,
    "tree": _scales,
    "house": _grid,
    "sun": _triangles,
    "moon": _crescents,
    "cloud": lambda x, y: _distance(0.55 * x, 0.55 * y) < 0.4,
    "boat": _stripes(0.9, -0.9),
    "car": _weave,
    "flower": _rings,
    "apple": _stripes(1.3, 0.0),
    "fish": lambda x, y: (x + 0.5 * _wave(y)) % 1 < 0.5,
    "mushroom": _dots,
    "balloon": _diamonds,
    "bird": _exes,
    "chair": _stripes(0.0, 2.2),
    "lamp": _stripes(2.2, 0.0),
}
"""Pattern of every class."""
