"""One image of the storybook: drawn, labeled pixel by pixel, and told in three captions."""

import random
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8

from groupvit.storybook.captions import Seen, tell
from groupvit.storybook.drawing import INDEX, draw
from groupvit.storybook.layout import Layout, lay_out

CLASSES: tuple[str, ...] = tuple(INDEX)
"""What a pixel can be; masks hold the index."""
NUM_CAPTIONS = 3
SEEN = 0.01
"""Captions name only what fills at least this share of the image."""
FINER = 2
"""Images are drawn so many times larger, then reduced, for smooth edges."""


class Scene(NamedTuple):
    """An image, the class of every pixel, and what people might write under it."""

    image: UInt8[np.ndarray, "size size 3"]
    """RGB, 0 to 255."""
    mask: UInt8[np.ndarray, "size size"]
    """Indices into `CLASSES`; every pixel belongs to a class."""
    captions: tuple[str, ...]
    """Worded independently, each naming its own part of what is there."""


def scene(
    index: int,
    *,
    seed: int = 0,
    split: Literal["train", "test"] = "train",
    size: int = 80,
) -> Scene:
    """Draw a scene: the same arguments always give the same one.

    The layout does not depend on the size.

    Args:
        index: Number of the scene.
        seed: Another seed gives another world of scenes.
        split: Scenes for tests never occur in training.
        size: Height and width in pixels.
    """
    name = f"storybook {split} {seed} {index}"
    rng = random.Random(name)
    layout = lay_out(rng)
    image, mask, words = draw(layout, rng, size * FINER)
    labels = np.asarray(mask)[FINER // 2 :: FINER, FINER // 2 :: FINER].copy()
    seen = _look(layout, labels, words)
    captions = tell(seen, layout.light, random.Random(f"{name} captions"), NUM_CAPTIONS)
    return Scene(np.array(image.reduce(FINER)), labels, captions)


def _look(
    layout: Layout, mask: UInt8[np.ndarray, "size size"], words: dict[str, tuple[str, ...]]
) -> list[Seen]:
    """What is large enough to be named."""
    grounds: dict[str, list[str]] = {}
    for placed in layout.things:
        grounds.setdefault(placed.kind, []).append(placed.ground)
    things = [
        Seen(kind, len(on), words[kind], on[0] if len(set(on)) == 1 else "")
        for kind, on in grounds.items()
    ]
    stuffs = [Seen(region.stuff, 0, words[region.stuff], "") for region in layout.regions]
    shares = np.bincount(mask.ravel(), minlength=len(CLASSES)) / mask.size
    return [one for one in (*things, *stuffs) if shares[INDEX[one.name]] >= SEEN]
