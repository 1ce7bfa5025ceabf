"""Drawings of segmentations: colors over an image, names, a legend, panels."""

from groupvit.visualization.drawing import groups, highlight, overlay
from groupvit.visualization.lettering import drawn_names
from groupvit.visualization.panels import LARGEST, side_by_side

__all__ = ["LARGEST", "drawn_names", "groups", "highlight", "overlay", "side_by_side"]
