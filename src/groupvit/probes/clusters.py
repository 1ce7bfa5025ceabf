"""Clusters of patch embeddings in place of learned groups: the baselines of GroupViT's table 4.

Everything else stays the same: a cluster is a segment whose embedding is the mean of its patches',
and the protocol applies unchanged.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from groupvit.errors import InputError
from groupvit.segmentation.groups import GroupedImage, GroupedWindow
from groupvit.segmentation.image_input import ImageInput
from groupvit.segmentation.segmenter import Segmenter

Method = Literal["pixels", "kmeans", "mean-shift", "spectral"]
RESTARTS = 4
"""Number of restarts of k-means; the best one counts."""
QUANTILE = 0.2
"""Fraction of the pairs of patches within the bandwidth of mean-shift."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clustering:
    """Method by which patches are clustered."""

    method: Method
    """`pixels`: every patch is a cluster."""
    num_groups: int = 8
    """Number of clusters of k-means and spectral clustering; mean-shift finds its own."""

    def __post_init__(self) -> None:
        """Check the number, and that scikit-learn is installed."""
        if self.num_groups < 1:
            raise InputError(f"num_groups is {self.num_groups}; give at least 1")
        try:
            import sklearn  # noqa: F401
        except ModuleNotFoundError:
            raise InputError(
                "clustering needs scikit-learn; install it with pip install 'groupvit[eval]'"
            ) from None

    def __str__(self) -> str:
        counted = f", {self.num_groups} groups" if self.method in ("kmeans", "spectral") else ""
        return f"{self.method}{counted}"


class ClusteringSegmenter(Segmenter):
    """Segmenter whose groups are clusters of patches instead of the learned ones.

    Args:
        segmenter: Model and protocol.
        clustering: Method of clustering.
    """

    def __init__(self, segmenter: Segmenter, clustering: Clustering) -> None:
        super().__init__(
            segmenter.network,
            origin=segmenter.origin,
            inference=segmenter.inference,
            background=segmenter.calibrated,
            coverage=segmenter.coverage,
            protocol=segmenter.protocol,
            device=segmenter.device,
            dtype=str(segmenter.dtype).removeprefix("torch."),
            batch_size=segmenter.batch_size,
        )
        self.clustering = clustering

    def group(self, images: Sequence[ImageInput]) -> list[GroupedImage]:
        """Cluster the patches of images; see `Segmenter.group`."""
        return [
            replace(one, windows=tuple(_clustered(x, self.clustering) for x in one.windows))
            for one in super().group(images)
        ]


def _clustered(window: GroupedWindow, clustering: Clustering) -> GroupedWindow:
    """Window whose only stage has the clusters of its patches as groups."""
    patches = window.patch_embeddings()  # (patch, embedding)
    members = cluster(patches, clustering)  # (patch,)
    assignment = F.one_hot(members, int(members.max()) + 1).float().mT  # (group, token)
    # Sums and means have the same direction.
    segments = F.normalize(assignment @ patches, dim=-1)
    return replace(
        window,
        assignments=(assignment,),
        segments=segments,
        naming="segments",
        naming_embeddings=segments,
        naming_grids=(),
    )


def cluster(
    features: Float[Tensor, "token embedding"], clustering: Clustering
) -> Int[Tensor, " token"]:
    """Cluster of every patch, numbered from 0; deterministic.

    Args:
        features: Patch embeddings, L2-normalized.
        clustering: Method of clustering.
    """
    from sklearn.cluster import KMeans, MeanShift, SpectralClustering, estimate_bandwidth

    points = features.detach().cpu().double().numpy()
    num_groups = min(clustering.num_groups, len(np.unique(points, axis=0)))
    if clustering.method == "pixels" or num_groups == len(points):
        members = np.arange(len(points))
    elif clustering.method == "kmeans":
        members = KMeans(num_groups, n_init=RESTARTS, random_state=0).fit_predict(points)
    elif clustering.method == "mean-shift":
        bandwidth = estimate_bandwidth(points, quantile=QUANTILE, random_state=0)
        members = MeanShift(bandwidth=bandwidth or None).fit_predict(points)
    else:
        affinity = (1 + points @ points.T) / 2  # cosines, brought to [0, 1]
        spectral = SpectralClustering(num_groups, affinity="precomputed", random_state=0)
        members = spectral.fit_predict(affinity.clip(0, 1))
    _, compact = np.unique(members, return_inverse=True)
    return torch.from_numpy(compact.astype(np.int64)).to(features.device)
