"""Rows of scenes: a scene, its mask, its predicted labels, and its groups."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from groupvit import visualization
from groupvit.demo.colors import class_colors
from groupvit.pages.elements import Panel, labeled_panel
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.segmenter import Segmenter
from groupvit.storybook.scene import Scene

SIDE = 320
"""Length of a side of the enlarged scenes [pixels], at most; the factor is whole."""


class Row(NamedTuple):
    """Row of a scene."""

    caption: str
    panels: tuple[Panel, ...]


def draw_row(segmenter: Segmenter, page: Scene, labels: Sequence[str]) -> Row:
    """Segment a scene by all labels, and draw a row of it.

    The model gets the scene in its own size. Its groups are drawn on the enlarged scene, where
    their borders are smooth; the mask is enlarged by repeating pixels.
    """
    factor = max(1, SIDE // len(page.image))
    image = _enlarge(page.image, factor)
    truth = page.mask.repeat(factor, axis=0).repeat(factor, axis=1)
    [grouped] = segmenter.group([page.image])
    right = float((segmenter.label(grouped, labels).label_map == page.mask).mean())
    large = replace(grouped, image=image)
    found = segmenter.label(large, labels).label_map
    caption, colors = page.captions[0], class_colors()
    panels = (
        Panel("Image", "", Image.fromarray(image), f"A drawn scene: {caption}"),
        labeled_panel("Truth", "never shown to the model", image, truth, labels, colors),
        labeled_panel(
            "Prediction", f"{right:.0%} of the pixels are right", image, found, labels, colors
        ),
        *(group_panel(large, stage) for stage in range(large.num_stages)),
    )
    return Row(caption, panels)


def _enlarge(
    image: UInt8[np.ndarray, "height width 3"], factor: int
) -> UInt8[np.ndarray, "large_height large_width 3"]:
    height, width, _ = image.shape
    size = width * factor, height * factor
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def group_panel(grouped: GroupedImage, stage: int) -> Panel:
    """Panel of an image and its groups of a stage, each in its mean color."""
    groups = grouped.group_map(stage)
    count = f"{len(np.unique(groups))} in use"
    image = visualization.groups(grouped.image, groups)
    title = f"Groups, stage {stage + 1}"
    return Panel(title, count, image, f"{title}: {count}, each in its mean color")
