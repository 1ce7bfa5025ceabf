"""Random regions of a scene: sky above sea, a road through grass, a wall over a floor."""

import math
import random
from itertools import accumulate
from typing import NamedTuple

from groupvit.storybook.pen import Point

BACKDROPS: dict[tuple[str, ...], float] = {
    ("sky",): 13,
    ("sky", "grass"): 5,
    ("sky", "sand"): 3.5,
    ("sky", "sea"): 5,
    ("sky", "snow"): 5.5,
    ("sky", "road"): 3.5,
    ("sky", "sea", "sand"): 2.5,
    ("sky", "grass", "road"): 1.5,
    ("sky", "wall", "grass"): 1,
    ("sky", "wall", "road"): 1,
    ("grass",): 6.5,
    ("sand",): 5,
    ("sea",): 6,
    ("snow",): 7.5,
    ("road",): 5,
    ("sea", "sand"): 2,
    ("sand", "sea"): 2,
    ("sea", "grass"): 2,
    ("sea", "snow"): 2,
    ("grass", "road"): 2.5,
    ("sand", "road"): 2,
    ("snow", "road"): 2,
    ("wall", "floor"): 6,
    ("wall",): 7,
    ("floor",): 7.5,
    ("wall", "grass"): 2,
    ("wall", "sand"): 1.5,
    ("wall", "road"): 1,
    ("sea", "floor"): 1.5,
    ("grass", "floor"): 1.5,
}
"""Stuff of an image from top to bottom, and its weight.

Every stuff must often occur without its usual partner; otherwise captions could not distinguish
the two. A road after other ground runs through it.
"""

LAND = ("grass", "sand", "snow")
ROLLING = (*LAND, "sea")
"""Two of these alone are seen from above, so that their border may slope."""


class Region(NamedTuple):
    """Part of the image with one stuff; later regions cover earlier ones."""

    stuff: str
    top: float
    bottom: float
    """Highest and lowest edge; the last region ends at 1."""
    outline: tuple[Point, ...]
    """Empty for the whole image."""
    centers: tuple[float, float] | None = None
    """Center of a road into the distance, at its top and its bottom."""


_CHOICES = tuple(BACKDROPS)
_WEIGHTS = tuple(accumulate(BACKDROPS.values()))


def draw_regions(rng: random.Random) -> tuple[Region, ...]:
    """Regions of a random backdrop, the farthest first."""
    return _place(rng, rng.choices(_CHOICES, cum_weights=_WEIGHTS)[0])


def _place(rng: random.Random, stuffs: tuple[str, ...]) -> tuple[Region, ...]:
    if len(stuffs) == 1:
        return (Region(stuffs[0], 0.0, 1.0, ()),)
    if stuffs[-1] == "road" and stuffs[-2] in LAND:
        return _with_road(rng, stuffs)
    tops = [0.0, rng.uniform(0.32, 0.66)]
    if len(stuffs) == 3:
        tops = [0.0, rng.uniform(0.26, 0.44), rng.uniform(0.6, 0.74)]
    ends = [*tops[1:], 1.0]
    slope = 0.0
    if set(stuffs) <= set(ROLLING):
        slope = rng.uniform(-0.22, 0.22)
    return tuple(
        Region(name, top, end, _edge(rng, name, top, slope) if top else ())
        for name, top, end in zip(stuffs, tops, ends, strict=True)
    )


def _edge(rng: random.Random, stuff: str, top: float, slope: float) -> tuple[Point, ...]:
    """Outline below a straight line or, for land, below gentle hills."""
    if stuff not in LAND and not slope:
        return ((0.0, top), (1.0, top), (1.0, 1.0), (0.0, 1.0))
    high, phase, waves = rng.uniform(0.0, 0.045), rng.uniform(0.0, 6.3), rng.uniform(0.6, 1.8)
    line = [
        (i / 16, top + slope * (i / 16 - 0.5) + high * math.sin(phase + waves * i * math.tau / 16))
        for i in range(17)
    ]
    return (*line, (1.0, 1.0), (0.0, 1.0))


def _with_road(rng: random.Random, stuffs: tuple[str, ...]) -> tuple[Region, ...]:
    land, top = stuffs[-2], 0.0
    regions = []
    if len(stuffs) == 3:
        top = rng.uniform(0.3, 0.55)
        regions = [Region("sky", 0.0, top, ())]
    regions.append(Region(land, top, 1.0, _edge(rng, land, top, 0.0) if top else ()))
    if rng.random() < 0.4:
        middle, half = rng.uniform(top + 0.5 * (1 - top), 0.84), rng.uniform(0.13, 0.19)
        low, slope = middle + half, rng.uniform(-0.06, 0.06)
        upper = ((0.0, middle - half - slope), (1.0, middle - half + slope))
        band = (*upper, (1.0, low + slope), (0.0, low - slope))
        return (*regions, Region("road", middle - half, low, band))
    far, near = rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7)
    narrow, wide = (0.04, 0.36) if top else (rng.uniform(0.12, 0.24), rng.uniform(0.24, 0.34))
    start = top + 0.035 if top else 0.0
    strip = ((far - narrow, start), (far + narrow, start), (near + wide, 1.0), (near - wide, 1.0))
    return (*regions, Region("road", start, 1.0, strip, (far, near)))
