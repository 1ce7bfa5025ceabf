"""Segmentations as images to look at: colors over a photograph, names, a legend, panels."""

from groupvit.visualization.drawing import groups, highlight, overlay
from groupvit.visualization.panels import LARGEST, side_by_side

__all__ = ["LARGEST", "groups", "highlight", "overlay", "side_by_side"]
