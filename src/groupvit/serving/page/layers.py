"""What the viewer draws: an image, and layers of labels or groups over it, as JSON."""

import base64
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, TypedDict

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image

from groupvit.palette import colors, text_color
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.result import Segmentation
from groupvit.visualization.lettering import text_size
from groupvit.visualization.names import place_names

SHORTEST, LONGEST = 640, 1024
"""Of the longer side of what is shown [pixels]; small images are enlarged so that the borders
of their groups run smoothly."""


class Entry(TypedDict):
    """A label or a group."""

    name: str
    color: str
    """As CSS writes it."""
    ink: str
    """Of text on that color."""
    share: float
    """Of the image, in [0, 1]."""


class Place(TypedDict):
    """Where a name is written; in shares of width and height."""

    entry: int
    x: float
    y: float


class Layer(TypedDict):
    """For every pixel an entry."""

    map: str
    """A PNG whose red and green are the low and the high byte of the entry's index."""
    entries: list[Entry]
    places: list[Place]
    background: bool
    """Whether the first entry is what belongs to nothing."""


def fitted(grouped: GroupedImage) -> GroupedImage:
    """The same groups on an image of the size that screens show."""
    height, width = grouped.size
    longest = max(height, width)
    scale = min(max(longest, SHORTEST), LONGEST) / longest
    if scale == 1:
        return grouped
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = Image.fromarray(grouped.image).resize(size, Image.Resampling.BICUBIC)
    return replace(grouped, image=np.array(image))


def of_labels(found: Segmentation) -> Layer:
    """The layer of the words."""
    height, width = found.label_map.shape
    em = text_size(width, height)
    named = place_names(found.label_map, found.labels, em, background=found.has_background)
    places = [
        Place(
            entry=name.label,
            x=(name.box[0] + name.box[2]) / 2 / width,
            y=(name.box[1] + name.box[3]) / 2 / height,
        )
        for name in named
    ]
    layer = _layer(found.label_map, found.labels, found.colors())
    return {**layer, "places": places, "background": found.has_background}


class Groups(NamedTuple):
    """The groups of a stage, which stay while words change."""

    layer: Layer
    used: UInt16[np.ndarray, " entry"]
    """The number of each entry's group in `GroupedImage.group_map`."""

    @classmethod
    def of(cls, grouped: GroupedImage, stage: int) -> "Groups":
        """Those of a stage of an image, from 0."""
        groups = grouped.group_map(stage)
        used, numbers = np.unique(groups, return_inverse=True)
        compact = numbers.reshape(groups.shape).astype(np.uint16)
        names = [f"group {number + 1}" for number in range(len(used))]
        return cls(_layer(compact, names, colors(len(used), background=False)), used)

    def named(self, words: Sequence[str]) -> Layer:
        """Their layer, each with the word that it took.

        Args:
            words: What every group took, by its number.
        """
        entries = [
            Entry(**{**entry, "name": f"{entry['name']}: {words[group]}"})
            for entry, group in zip(self.layer["entries"], self.used, strict=True)
        ]
        return {**self.layer, "entries": entries}


def data_url(image: Image.Image, form: str) -> str:
    """An image as text that browsers show."""
    file = io.BytesIO()
    image.save(file, form)
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def _layer(
    index_map: UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"],
    names: Sequence[str],
    tints: UInt8[np.ndarray, "entry 3"],
) -> Layer:
    shares = np.bincount(index_map.ravel(), minlength=len(names)) / index_map.size
    bytes_of = index_map.astype("<u2").view(np.uint8).reshape(*index_map.shape, 2)
    entries = [
        Entry(name=name, color=_css(tint), ink=_css(text_color(tint)), share=share)
        for name, tint, share in zip(names, tints, shares.tolist(), strict=True)
    ]
    image = Image.fromarray(np.pad(bytes_of, ((0, 0), (0, 0), (0, 1))))
    return Layer(map=data_url(image, "PNG"), entries=entries, places=[], background=False)


def _css(rgb: Sequence[int] | UInt8[np.ndarray, "3"]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*(int(value) for value in rgb))
