"""Oracle: the scores that groups would have if each of them got its best label.

The gap between a score and its oracle is lost by the labels, the rest by the groups (GroupViT,
appendix C.3).
"""

import numpy as np
from jaxtyping import Float64, Int64, UInt8, UInt16

from groupvit.evaluation.scores import overlap


def oracle_map(
    mask: UInt8[np.ndarray, "height width"],
    groups: UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"],
    num_labels: int,
) -> UInt8[np.ndarray, "height width"]:
    """Label map that gives every group the class of the mask with the highest IoU.

    Of classes with equal IoU the first counts. Mask pixels of 255 belong to no group and no class.

    Args:
        mask: Class of every pixel.
        groups: Group of every pixel, from `GroupedImage.group_map`.
        num_labels: Number of classes.
    """
    numbers, compact = np.unique(groups, return_inverse=True)
    shared = overlap(mask, compact, (num_labels, len(numbers)))
    best: UInt8[np.ndarray, " group"] = ious(shared).argmax(axis=0).astype(np.uint8)
    return best.take(compact)


def ious(shared: Int64[np.ndarray, "label part"]) -> Float64[np.ndarray, "label part"]:
    """IoU of every class with every part; 0 where both are empty.

    Args:
        shared: Number of pixels in both, from `overlap`.
    """
    union = shared.sum(axis=0) + shared.sum(axis=1)[:, None] - shared
    # One division each: equal fractions are equal numbers, so that argmax takes the first.
    result: Float64[np.ndarray, "label part"] = shared / np.maximum(union, 1)
    return result


def oracle_table(shared: Int64[np.ndarray, "label group"]) -> Int64[np.ndarray, "label label"]:
    """Pixels by mask (rows) and by the best label of their group (columns)."""
    table = np.zeros((len(shared), len(shared)), np.int64)
    # Every group adds its pixels, by class of the mask, to the column of its best label.
    np.add.at(table.T, ious(shared).argmax(axis=0), shared.T)
    return table
