"""Drawings of segmentations: colors over an image, names, a legend, panels."""

from groupvit.visualization.drawing import groups, highlight, overlay
from groupvit.visualization.panels import LARGEST, side_by_side

__all__ = ["LARGEST", "groups", "highlight", "overlay", "side_by_side"]
