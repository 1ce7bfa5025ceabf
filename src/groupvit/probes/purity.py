"""Purity of clusters of parts: how far they agree with the classes of masks.

The purity is the fraction of pixels whose class is the most frequent one of their cluster. It rises
with the number of clusters, and where one class is frequent it is high for any clusters. So it has
a meaning only beside that of as many clusters of other features of the same parts, and beside the
fraction of the most frequent class, which one single cluster has.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int64

from groupvit.probes.k_means import Clusters

Counted = Literal["all pixels", "pixels that are not background"]
"""Pixels that count."""


class Mean(NamedTuple):
    """Purity of clusters over several starts of k-means."""

    mean: float
    """[0, 1]."""
    deviation: float
    """Standard deviation."""

    def __str__(self) -> str:
        return f"{100 * self.mean:.1f} ± {100 * self.deviation:.1f} %"


class Purity(NamedTuple):
    """Purity of the concepts of a stage."""

    stage: int
    """Counted from 0."""
    counted: Counted
    concepts: Mean
    """Of the clusters of embeddings in the space shared with text."""
    trunk: Mean
    """Of as many clusters of the last map of the trunk."""
    chance: float
    """Fraction of the most frequent class, [0, 1]."""

    def __str__(self) -> str:
        return (
            f"stage {self.stage + 1}, {self.counted}: purity of concepts {self.concepts}, of as "
            f"many clusters of the trunk's features {self.trunk}, of one class everywhere "
            f"{100 * self.chance:.1f} %"
        )


def purities(
    stage: int,
    pixels: Int64[np.ndarray, "part class"],
    concepts: Sequence[Clusters],
    trunk: Sequence[Clusters],
    *,
    has_background: bool,
) -> list[Purity]:
    """Purity of all pixels, and of those that are not background where there is one.

    Args:
        stage: Stage of the parts, counted from 0.
        pixels: Number of pixels of each class in each part.
        concepts: Clusters of the parts by their embeddings, of every start.
        trunk: The same by the features of the trunk.
        has_background: Class 0 is the background.

    Returns:
        None of pixels that do not occur.
    """
    kinds: list[tuple[Counted, Int64[np.ndarray, "part class"]]] = [("all pixels", pixels)]
    if has_background:
        kinds.append(("pixels that are not background", pixels[:, 1:]))
    return [
        Purity(
            stage=stage,
            counted=counted,
            concepts=_mean(some, concepts),
            trunk=_mean(some, trunk),
            chance=float(some.sum(axis=0).max() / some.sum()),
        )
        for counted, some in kinds
        if some.sum() > 0
    ]


def purity(pixels: Int64[np.ndarray, "part class"], members: Int64[np.ndarray, " part"]) -> float:
    """Fraction of pixels whose class is the most frequent one of their cluster, [0, 1].

    Args:
        pixels: Number of pixels of each class in each part; there is at least one pixel.
        members: Cluster of each part.
    """
    counts = np.zeros((members.max() + 1, pixels.shape[1]), np.int64)
    np.add.at(counts, members, pixels)
    return float(counts.max(axis=1).sum() / counts.sum())


def _mean(pixels: Int64[np.ndarray, "part class"], starts: Sequence[Clusters]) -> Mean:
    values = [purity(pixels, one.members) for one in starts]
    return Mean(float(np.mean(values)), float(np.std(values)))
