"""Overlays of labels or groups that the viewer draws over an image, as JSON."""

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
"""Length of the longer side of displayed images [pixels]; small images are enlarged so that the
borders of their groups are smooth."""


class Region(TypedDict):
    """Pixels of one label or one group."""

    name: str
    color: str
    """Color in CSS."""
    text_color: str
    """Color of text on it."""
    share: float
    """Fraction of the image, [0, 1]."""


class NamePosition(TypedDict):
    """Center of a name on the image, as fractions of width and height."""

    region: int
    """Index of the region."""
    x: float
    y: float


class Overlay(TypedDict):
    """Region of every pixel, and how regions are drawn."""

    map: str
    """PNG as a data URL; red and green are the low and the high byte of the region's index."""
    regions: list[Region]
    names: list[NamePosition]
    has_background: bool
    """The first region is the background."""


def resized_for_display(grouped: GroupedImage) -> GroupedImage:
    """The same groups on an image of a size for screens."""
    height, width = grouped.size
    longest = max(height, width)
    scale = min(max(longest, SHORTEST), LONGEST) / longest
    if scale == 1:
        return grouped
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = Image.fromarray(grouped.image).resize(size, Image.Resampling.BICUBIC)
    return replace(grouped, image=np.array(image))


def label_overlay(result: Segmentation) -> Overlay:
    """Overlay of the labels."""
    height, width = result.label_map.shape
    em = text_size(width, height)
    placed = place_names(result.label_map, result.labels, em, background=result.has_background)
    names = [
        NamePosition(
            region=name.label,
            x=(name.box[0] + name.box[2]) / 2 / width,
            y=(name.box[1] + name.box[3]) / 2 / height,
        )
        for name in placed
    ]
    overlay = _overlay(result.label_map, result.labels, result.colors())
    return {**overlay, "names": names, "has_background": result.has_background}


class GroupOverlay(NamedTuple):
    """Overlay of the groups of a stage, which does not depend on labels."""

    overlay: Overlay
    groups: UInt16[np.ndarray, " region"]
    """Number of each region's group in `GroupedImage.group_map`."""

    @classmethod
    def of(cls, grouped: GroupedImage, stage: int) -> "GroupOverlay":
        """Overlay of a stage, counted from 0."""
        group_map = grouped.group_map(stage)
        groups, inverse = np.unique(group_map, return_inverse=True)
        region_map = inverse.reshape(group_map.shape).astype(np.uint16)
        names = [f"group {number}" for number in range(1, len(groups) + 1)]
        return cls(_overlay(region_map, names, colors(len(groups), background=False)), groups)

    def labeled(self, labels: Sequence[str]) -> Overlay:
        """Overlay with the label of each group in its name.

        Args:
            labels: Label of every group in `group_map`.
        """
        regions = [
            Region(**{**region, "name": f"{region['name']}: {labels[group]}"})
            for region, group in zip(self.overlay["regions"], self.groups, strict=True)
        ]
        return {**self.overlay, "regions": regions}


def data_url(image: Image.Image, form: str) -> str:
    """Image file as a data URL."""
    file = io.BytesIO()
    image.save(file, form)
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def _overlay(
    region_map: UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"],
    names: Sequence[str],
    tints: UInt8[np.ndarray, "region 3"],
) -> Overlay:
    shares = np.bincount(region_map.ravel(), minlength=len(names)) / region_map.size
    low_and_high = region_map.astype("<u2").view(np.uint8).reshape(*region_map.shape, 2)
    regions = [
        Region(name=name, color=_css(tint), text_color=_css(text_color(tint)), share=share)
        for name, tint, share in zip(names, tints, shares.tolist(), strict=True)
    ]
    image = Image.fromarray(np.pad(low_and_high, ((0, 0), (0, 0), (0, 1))))
    return Overlay(map=data_url(image, "PNG"), regions=regions, names=[], has_background=False)


def _css(rgb: Sequence[int] | UInt8[np.ndarray, "3"]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*(int(value) for value in rgb))
