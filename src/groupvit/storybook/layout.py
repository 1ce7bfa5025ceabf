"""Layout of a scene in fractions of its side, independent of the image size."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from groupvit.storybook.pen import Light
from groupvit.storybook.placing import Placed, place_things
from groupvit.storybook.regions import Region, draw_regions


class Layout(NamedTuple):
    """Regions and things, the farthest first."""

    light: Light
    regions: tuple[Region, ...]
    things: tuple[Placed, ...]


def lay_out(rng: random.Random) -> Layout:
    """A random layout."""
    regions = draw_regions(rng)
    light = _choose_light(rng, [region.stuff for region in regions])
    things = sorted(place_things(rng, regions, light), key=_nearness)
    return Layout(light, regions, tuple(things))


def _choose_light(rng: random.Random, stuffs: Sequence[str]) -> Light:
    draw = rng.random()
    dark, dusky = (0.22, 0.42) if "sky" in stuffs else (0.1, 0.2)
    if draw < dark:
        return "night"
    return "dusk" if draw < dusky and "floor" not in stuffs else "day"


def _nearness(placed: Placed) -> tuple[bool, float]:
    far = placed.kind in ("sun", "moon")
    return not far, (0.0 if placed.ground == "sky" else placed.foot)
