"""The oracle: what groups would score if every one of them were given the right word.

The gap between a score and its oracle is what words lose; the rest is lost by the groups
(GroupViT, appendix C.3).
"""

import numpy as np
from jaxtyping import Float64, Int64, UInt8, UInt16

from groupvit.evaluation.scores import overlap


def oracle_map(
    truth: UInt8[np.ndarray, "height width"],
    groups: UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"],
    num_labels: int,
) -> UInt8[np.ndarray, "height width"]:
    """The label map in which every group has the class of the truth whose IoU with it is highest.

    Where classes are level, the one that comes first counts. Pixels of the truth that are 255
    take part neither in a group nor in a class.

    Args:
        truth: The class of every pixel.
        groups: For each pixel the index of its group, as `GroupedImage.group_map` has it.
        num_labels: How many classes there are.
    """
    numbers, compact = np.unique(groups, return_inverse=True)
    shared = overlap(truth, compact, (num_labels, len(numbers)))
    best: UInt8[np.ndarray, " group"] = ious(shared).argmax(axis=0).astype(np.uint8)
    return best.take(compact)


def ious(shared: Int64[np.ndarray, "label part"]) -> Float64[np.ndarray, "label part"]:
    """The IoU of every class with every part; 0 where both are empty.

    Args:
        shared: How many pixels they share, from `overlap`.
    """
    union = shared.sum(axis=0) + shared.sum(axis=1)[:, None] - shared
    # Equal fractions are equal numbers, so that ties hold.
    result: Float64[np.ndarray, "label part"] = shared / np.maximum(union, 1)
    return result


def oracle_table(shared: Int64[np.ndarray, "label group"]) -> Int64[np.ndarray, "label label"]:
    """Pixels by truth (rows) and by what the oracle calls their group (columns)."""
    table = np.zeros((len(shared), len(shared)), np.int64)
    np.add.at(table.T, ious(shared).argmax(axis=0), shared.T)
    return table
