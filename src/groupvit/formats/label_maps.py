"""Label maps, and the checks that all formats share."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8, UInt16

from groupvit.errors import InputError

LabelMap = UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]
"""Index of the label of every pixel."""


def check(label_map: LabelMap, num_labels: int) -> None:
    """Refuse an empty map, or one with an index beyond the labels.

    Raises:
        InputError: It is one of these.
    """
    if label_map.size == 0:
        raise InputError(f"label map of shape {label_map.shape} is empty; give one with pixels")
    highest = int(label_map.max())
    if highest >= num_labels:
        raise InputError(
            f"label map holds the index {highest} but there are {num_labels} labels; "
            "give one for every index"
        )


def category(index: int, labels: Sequence[str]) -> int:
    """COCO category of a label, from 1; 0 for the background."""
    return index if labels[0] == "background" else index + 1
