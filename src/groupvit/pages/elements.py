"""Elements of pages: metrics, bars of classes, and panels of images with legends.

`elements.html` has a macro for each.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image

from groupvit import visualization

OPACITY = 0.65
"""Opacity of the colors of labels, [0, 1]."""

LabelMap = UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]


class Metric(NamedTuple):
    """Score in large type."""

    name: str
    value: float
    """[0, 1]."""
    note: str
    """Explanation in a few words."""


class Bar(NamedTuple):
    """IoU of a class."""

    name: str
    iou: float
    """[0, 1]."""
    oracle: float
    """IoU of the oracle, [0, 1]."""


class LegendEntry(NamedTuple):
    """Label in the legend of an image."""

    name: str
    color: tuple[int, ...]
    """RGB, 0 to 255."""
    share: float
    """Fraction of the image, [0, 1]."""


class Panel(NamedTuple):
    """Image of a row."""

    title: str
    note: str
    """Explanation in a few words; may be empty."""
    image: Image.Image
    alt: str
    """Description for readers who do not see the image."""
    legend: tuple[LegendEntry, ...] = ()
    """Labels in the image, the largest first."""


def labeled_panel(
    title: str,
    note: str,
    image: UInt8[np.ndarray, "height width 3"],
    label_map: LabelMap,
    labels: Sequence[str],
    colors: UInt8[np.ndarray, "label 3"],
) -> Panel:
    """Panel of an image in the colors of its labels, with a legend."""
    shares = np.bincount(label_map.ravel(), minlength=len(labels)) / label_map.size
    legend = tuple(
        LegendEntry(labels[index], tuple(colors[index].tolist()), float(shares[index]))
        for index in np.argsort(-shares, kind="stable")
        if shares[index] > 0
    )
    overlay = visualization.overlay(image, label_map, labels, colors, opacity=OPACITY, legend=False)
    alt = ", ".join(f"{entry.name} {entry.share:.0%}" for entry in legend)
    return Panel(title, note, overlay, f"{title}: {alt}", legend)
