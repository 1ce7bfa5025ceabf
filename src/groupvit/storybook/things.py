"""Kinds of things: how they are drawn, their sizes, and the grounds they occur on."""

import random
from collections.abc import Callable
from typing import NamedTuple

from groupvit.storybook import nature, objects
from groupvit.storybook.pen import Pen

Draw = Callable[[Pen, random.Random, str], str]
"""Draws a thing on the stuff of that name; returns an adjective that fits it."""


class Thing(NamedTuple):
    """A kind of thing."""

    draw: Draw
    aspect: float
    """Width / height."""
    smallest: float
    largest: float
    """Range of the longer side, as a fraction of the image's side."""
    grounds: dict[str, float]
    """Weight of each stuff that it occurs on, in or in front of."""
    tilt: float = 0.0
    """Largest rotation [radians]."""


THINGS: dict[str, Thing] = {
    "tree": Thing(
        nature.tree, 0.8, 0.4, 0.64, {"grass": 1.6, "snow": 2.6, "sand": 1.7, "road": 0.4}, 0.04
    ),
    "house": Thing(
        objects.house, 1.08, 0.38, 0.6, {"grass": 1.7, "snow": 2.4, "sand": 1.6, "road": 0.6}
    ),
    "sun": Thing(nature.sun, 1.0, 0.24, 0.42, {"sky": 3.3}),
    "moon": Thing(nature.moon, 1.0, 0.24, 0.42, {"sky": 3.5}, 0.5),
    "cloud": Thing(nature.cloud, 1.9, 0.34, 0.58, {"sky": 2.6}),
    "boat": Thing(objects.boat, 1.04, 0.32, 0.56, {"sea": 3.6, "sand": 1.2}, 0.1),
    "car": Thing(
        objects.car,
        1.96,
        0.36,
        0.6,
        {"road": 3.6, "grass": 0.9, "snow": 1.4, "sand": 0.9, "floor": 0.6},
    ),
    "flower": Thing(
        nature.flower,
        0.56,
        0.36,
        0.6,
        {"grass": 1.6, "sand": 0.8, "floor": 1.3, "wall": 1.0, "snow": 0.6},
        0.14,
    ),
    "apple": Thing(
        nature.apple,
        0.96,
        0.24,
        0.44,
        {"grass": 0.9, "floor": 1.5, "wall": 1.2, "sand": 0.8, "snow": 0.5, "road": 0.6},
        0.3,
    ),
    "fish": Thing(nature.fish, 1.9, 0.34, 0.56, {"sea": 3.4, "sand": 0.9, "wall": 0.7}, 0.25),
    "mushroom": Thing(
        nature.mushroom,
        0.98,
        0.28,
        0.48,
        {"grass": 1.6, "sand": 0.9, "snow": 1.2, "floor": 0.8, "wall": 0.4, "road": 0.6},
        0.1,
    ),
    "balloon": Thing(
        objects.balloon,
        0.62,
        0.38,
        0.6,
        {"sky": 0.9, "sea": 0.7, "wall": 0.9, "floor": 0.6, "grass": 0.3, "snow": 0.3},
        0.16,
    ),
    "bird": Thing(
        nature.bird,
        1.5,
        0.32,
        0.52,
        {"sky": 0.7, "grass": 0.6, "snow": 0.8, "sea": 0.4, "sand": 0.5, "road": 0.6, "wall": 0.4},
        0.12,
    ),
    "chair": Thing(
        objects.chair,
        0.8,
        0.36,
        0.58,
        {"floor": 2.2, "wall": 1.7, "grass": 0.7, "sand": 0.8, "road": 0.5, "snow": 0.4},
    ),
    "lamp": Thing(
        objects.lamp,
        0.6,
        0.4,
        0.62,
        {"floor": 1.5, "wall": 1.7, "road": 1.5, "snow": 0.7, "grass": 0.5},
    ),
}
