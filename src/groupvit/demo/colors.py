"""Colors of the storybook's classes on the page, near the natural ones."""

import numpy as np
from jaxtyping import UInt8

from groupvit.storybook.scene import CLASSES

_COLORS: dict[str, tuple[int, int, int]] = {
    "sky": (96, 178, 255),
    "grass": (112, 200, 40),
    "sand": (250, 205, 80),
    "sea": (20, 80, 200),
    "snow": (236, 242, 255),
    "road": (84, 86, 98),
    "wall": (206, 122, 92),
    "floor": (146, 96, 52),
    "tree": (10, 110, 60),
    "house": (168, 24, 24),
    "sun": (255, 240, 0),
    "moon": (255, 246, 180),
    "cloud": (176, 190, 210),
    "boat": (124, 60, 20),
    "car": (130, 60, 220),
    "flower": (255, 120, 200),
    "apple": (240, 20, 40),
    "fish": (255, 132, 0),
    "mushroom": (232, 150, 150),
    "balloon": (220, 0, 140),
    "bird": (0, 190, 180),
    "chair": (70, 50, 120),
    "lamp": (190, 160, 255),
}


def class_colors() -> UInt8[np.ndarray, "label 3"]:
    """The color of each class, RGB, 0 to 255, in the order of `CLASSES`."""
    return np.array([_COLORS[name] for name in CLASSES], np.uint8)
