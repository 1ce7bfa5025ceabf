"""One scene of the storybook: a drawn image with its mask and three captions."""

import random
from collections.abc import Collection
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8

from groupvit.storybook.captions import Subject, write_captions
from groupvit.storybook.drawing import INDEX, draw
from groupvit.storybook.layout import Layout, lay_out
from groupvit.storybook.patterned import coat

CLASSES: tuple[str, ...] = tuple(INDEX)
"""Class names; masks hold their indices."""
NUM_CAPTIONS = 3
MIN_AREA = 0.01
"""Captions name only classes with at least this fraction of the pixels."""
SUPERSAMPLING = 2
"""Images are drawn this much larger, then reduced, for smooth edges."""
Split = Literal["train", "test"]


class Scene(NamedTuple):
    """An image, the class of every pixel, and captions."""

    image: UInt8[np.ndarray, "size size 3"]
    """RGB, 0 to 255."""
    mask: UInt8[np.ndarray, "size size"]
    """Indices into `CLASSES` of all pixels."""
    captions: tuple[str, ...]
    """Independent captions, each naming a random selection."""


def scene(
    index: int,
    *,
    seed: int = 0,
    split: Split = "train",
    size: int = 80,
    patterned: bool = False,
    unnamed: Collection[str] = (),
) -> Scene:
    """A scene; the same arguments always give the same one.

    The layout depends neither on the size nor on `patterned`.

    Args:
        index: Index of the scene in the split.
        seed: Seed of the dataset.
        split: The splits have no scene in common.
        size: Height and width [pixels].
        patterned: Paint every class in a pattern of its own, in colors that all share: see
            `patterned`. Captions then have no adjectives, and no time of day but daytime.
        unnamed: Classes that no caption names, although they are drawn.
    """
    name = f"storybook {split} {seed} {index}"
    rng = random.Random(name)
    layout = lay_out(rng)
    image, mask, adjectives = draw(layout, rng, size * SUPERSAMPLING)
    light = layout.light
    if patterned:
        image = coat(np.asarray(mask), CLASSES, random.Random(f"{name} patterns"))
        light, adjectives = "day", dict.fromkeys(adjectives, ())
    labels = np.asarray(mask)[
        SUPERSAMPLING // 2 :: SUPERSAMPLING, SUPERSAMPLING // 2 :: SUPERSAMPLING
    ].copy()
    subjects = [
        one for one in _visible_subjects(layout, labels, adjectives) if one.name not in unnamed
    ]
    caption_rng = random.Random(f"{name} captions")
    captions = write_captions(subjects, light, caption_rng, NUM_CAPTIONS)
    return Scene(np.array(image.reduce(SUPERSAMPLING)), labels, captions)


def _visible_subjects(
    layout: Layout, mask: UInt8[np.ndarray, "size size"], adjectives: dict[str, tuple[str, ...]]
) -> list[Subject]:
    """Subjects that are large enough for captions."""
    grounds: dict[str, list[str]] = {}
    for placed in layout.things:
        grounds.setdefault(placed.kind, []).append(placed.ground)
    things = [
        Subject(kind, len(on), adjectives[kind], on[0] if len(set(on)) == 1 else "")
        for kind, on in grounds.items()
    ]
    stuffs = [Subject(region.stuff, 0, adjectives[region.stuff], "") for region in layout.regions]
    areas = np.bincount(mask.ravel(), minlength=len(CLASSES)) / mask.size
    return [one for one in (*things, *stuffs) if areas[INDEX[one.name]] >= MIN_AREA]
