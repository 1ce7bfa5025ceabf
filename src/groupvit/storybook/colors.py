"""Named colors of things, with random variation."""

import random

from groupvit.storybook.pen import RGB

NAMED: dict[str, RGB] = {
    "red": (212, 62, 54),
    "orange": (240, 142, 52),
    "yellow": (246, 206, 74),
    "green": (92, 164, 80),
    "blue": (66, 116, 196),
    "purple": (140, 96, 178),
    "pink": (240, 142, 178),
    "white": (246, 244, 238),
    "brown": (150, 104, 70),
    "grey": (152, 154, 160),
    "black": (54, 54, 62),
    "turquoise": (70, 182, 184),
    "golden": (236, 182, 66),
}

BRIGHT = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "turquoise")


def choose(rng: random.Random, *names: str) -> tuple[str, RGB]:
    """Name and varied value of one of the colors."""
    name = rng.choice(names)
    return name, vary(rng, NAMED[name])


def vary(rng: random.Random, color: RGB, by: int = 13) -> RGB:
    """A random color near another one."""
    red, green, blue = color
    return (
        min(255, max(0, red + rng.randint(-by, by))),
        min(255, max(0, green + rng.randint(-by, by))),
        min(255, max(0, blue + rng.randint(-by, by))),
    )
