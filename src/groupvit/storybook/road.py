"""Dashes along the center of a road."""

import random
from typing import NamedTuple

from PIL import Image, ImageDraw

from groupvit.storybook.pen import RGB, Light, Point, lit
from groupvit.storybook.regions import Region

NUM_DASHES = 7
HALF_WIDTH = 0.018
"""Half the width of a dash, as a fraction of the side."""
COLORS: tuple[RGB, ...] = ((244, 240, 226), (244, 240, 226), (240, 200, 90))


class Lane(NamedTuple):
    """Center line of a road."""

    start: Point
    end: Point
    into_distance: bool
    """True if dashes become smaller towards the start."""


def draw_dashes(image: Image.Image, region: Region, light: Light, rng: random.Random) -> None:
    """Draw dashes along the center of a road."""
    draw, lane = ImageDraw.Draw(image), _lane(region, rng)
    color = lit(rng.choice(COLORS), light)
    for dash in range(NUM_DASHES):
        near, far = (dash + 0.15) / NUM_DASHES, (dash + 0.7) / NUM_DASHES
        if lane.into_distance:
            near, far = near**2, far**2
        corners = _corners(lane, near, far)
        draw.polygon([(x * image.width, y * image.width) for x, y in corners], fill=color)


def _lane(region: Region, rng: random.Random) -> Lane:
    if region.centers:
        far, near = region.centers
        return Lane((far, region.top), (near, 1.0), into_distance=region.top > 0)
    if region.outline and region.bottom < 1:
        (_, left), (_, right) = region.outline[:2]
        half = (region.bottom - region.top) / 2
        return Lane((0.0, left + half), (1.0, right + half), into_distance=False)
    if region.top:
        far, near = rng.uniform(0.4, 0.6), rng.uniform(0.2, 0.8)
        return Lane((far, region.top), (near, 1.0), into_distance=True)
    first, last = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8)
    if rng.random() < 0.5:
        return Lane((0.0, first), (1.0, last), into_distance=False)
    return Lane((first, 0.0), (last, 1.0), into_distance=False)


def _corners(lane: Lane, near: float, far: float) -> list[Point]:
    """Outline of a dash between two fractions of the lane."""
    (x, y), (end_x, end_y) = lane.start, lane.end
    over, down = end_x - x, end_y - y
    length = (over * over + down * down) ** 0.5
    corners = []
    for along, side in ((near, -1), (near, 1), (far, 1), (far, -1)):
        half = side * HALF_WIDTH * (along + 0.12 if lane.into_distance else 1.0) / length
        corners.append((x + over * along - half * down, y + down * along + half * over))
    return corners
