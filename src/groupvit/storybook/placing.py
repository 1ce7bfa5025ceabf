"""Random placement of things: on suitable grounds, without large overlaps."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from groupvit.storybook.pen import Light
from groupvit.storybook.regions import Region
from groupvit.storybook.things import THINGS

KIND_PROBABILITIES = (0.34, 0.42, 0.19, 0.05)
"""Probabilities of one to four kinds of things."""
CROWD_SCALE = (1.0, 0.96, 0.86, 0.78)
"""Scale of things in scenes with one to four kinds."""
REPEAT_PROBABILITY = 0.2
"""Probability of two or three things of a kind."""
MAX_OVERLAP = 0.3
"""Boxes of things overlap by less than this fraction of the smaller box."""
NUM_TRIES = 8
"""Positions tried for a thing."""

_ONCE = ("sun", "moon")
_SKY_WEIGHTS: dict[str, dict[Light, float]] = {
    "sun": {"day": 1.0, "dusk": 1.3, "night": 0.0},
    "moon": {"day": 0.3, "dusk": 0.9, "night": 2.4},
}
"""Weights of sun and moon by light."""
_NOT_ON_SHELVES = ("chair", "lamp", "balloon", "fish")


class Placed(NamedTuple):
    """A thing and its position, in fractions of the side."""

    kind: str
    ground: str
    x: float
    foot: float
    height: float
    flipped: bool
    tilt: float
    on_shelf: bool

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom edge."""
        half = self.height * THINGS[self.kind].aspect / 2
        return self.x - half, self.foot - self.height, self.x + half, self.foot


def place_things(rng: random.Random, regions: Sequence[Region], light: Light) -> list[Placed]:
    """One to four random kinds of things with their positions."""
    num_kinds = rng.choices(range(1, 5), KIND_PROBABILITIES)[0]
    weights = {kind: _weight(kind, regions, light) for kind in THINGS}
    placed: list[Placed] = []
    for _ in range(num_kinds):
        if not any(weights.values()):
            break
        kind = rng.choices(tuple(weights), tuple(weights.values()))[0]
        weights[kind] = 0.0
        if kind in _ONCE:
            weights |= {once: weights[once] * 0.08 for once in _ONCE}
        several = kind not in _ONCE and num_kinds < 4 and rng.random() < REPEAT_PROBABILITY
        copies = rng.choice((2, 2, 3)) if several else 1
        crowd = max(num_kinds, copies + 1) if several else num_kinds
        for _ in range(copies):
            thing = _place(rng, kind, regions, placed, scale=CROWD_SCALE[crowd - 1])
            placed += [thing] if thing else []
    return placed


def _weight(kind: str, regions: Sequence[Region], light: Light) -> float:
    grounds = THINGS[kind].grounds
    weight = sum(grounds.get(region.stuff, 0.0) for region in regions)
    return weight * _SKY_WEIGHTS[kind][light] if kind in _SKY_WEIGHTS else weight


def _place(
    rng: random.Random,
    kind: str,
    regions: Sequence[Region],
    placed: Sequence[Placed],
    *,
    scale: float,
) -> Placed | None:
    """First of some random positions without a large overlap; None if there is none."""
    thing = THINGS[kind]
    weights = [thing.grounds.get(region.stuff, 0.0) for region in regions]
    for _ in range(NUM_TRIES):
        region = rng.choices(regions, weights)[0]
        extent = rng.uniform(thing.smallest, thing.largest) * scale
        new = _position(rng, kind, region, extent)
        if all(_overlap(new, other) < MAX_OVERLAP for other in placed):
            return new
    return None


def _position(rng: random.Random, kind: str, region: Region, extent: float) -> Placed:
    thing, stuff = THINGS[kind], region.stuff
    height = extent / max(1.0, thing.aspect)
    foot = rng.uniform(*_foot_range(kind, region, height))
    along = (foot - region.top) / (1.0 - region.top)
    if region.top and stuff not in ("wall", "sky"):
        height *= 0.82 + 0.24 * along  # nearer is larger
    half = height * thing.aspect / 2
    x = rng.uniform(half * 0.86, 1.0 - half * 0.86)
    if region.centers:
        far, near = region.centers
        x = far + (near - far) * along + rng.uniform(-0.1, 0.1) * along
    flipped, tilt = rng.random() < 0.5, rng.uniform(-thing.tilt, thing.tilt)
    on_shelf = stuff == "wall" and kind not in _NOT_ON_SHELVES
    return Placed(kind, stuff, x, foot, height, flipped, tilt, on_shelf)


def _foot_range(kind: str, region: Region, height: float) -> tuple[float, float]:
    """Range of y of a thing's lower edge."""
    top, bottom = region.top, region.bottom
    if region.stuff == "wall" and kind in ("chair", "lamp"):
        return (0.95, 1.02) if bottom == 1.0 else (bottom + 0.02, bottom + 0.1)
    if region.stuff in ("sky", "wall"):
        low = top + height * 0.94
        return low, max(low + 0.02, bottom - 0.03)
    if not top and not region.centers:
        return height * 0.92, max(height, bottom - 0.01)
    inside = 0.8 * height if kind == "fish" else 0.3 * (bottom - top)
    low = min(top + inside, 0.97)
    return low, max(low + 0.01, min(bottom, 0.985))


def _overlap(first: Placed, second: Placed) -> float:
    """Fraction of the smaller box that lies in the other."""
    one, two = first.box, second.box
    wide = min(one[2], two[2]) - max(one[0], two[0])
    high = min(one[3], two[3]) - max(one[1], two[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, two)]
    return wide * high / min(areas)
