"""Baselines: groups that were not learned, but clustered from what patches mean.

GroupViT's table 4 asks what its groups are worth over those that clustering finds in the features
of a ViT of the same training. Everything else stays the same: a cluster is a segment, its embedding
is the mean of its patches', and the protocol is the protocol.
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
from groupvit.segmentation.segmenter import ImageInput, Segmenter

Method = Literal["pixels", "kmeans", "mean-shift", "spectral"]
RESTARTS = 4
"""How often k-means begins; the best counts."""
QUANTILE = 0.2
"""Share of the pairs of patches that lie within the bandwidth of mean-shift."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clustering:
    """How patches are grouped."""

    method: Method
    """`pixels`: every patch stands alone."""
    num_groups: int = 8
    """How many clusters; mean-shift finds its own number."""

    def __post_init__(self) -> None:
        """Check the number, and that there is what clusters."""
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
    """A segmenter whose groups are clusters of patches; its model may have learned others.

    Args:
        segmenter: The model, and how it looks at images.
        clustering: How patches are grouped.
    """

    def __init__(self, segmenter: Segmenter, clustering: Clustering) -> None:
        super().__init__(
            segmenter.network,
            origin=segmenter.origin,
            background=segmenter.calibrated,
            protocol=segmenter.protocol,
            device=segmenter.device,
            dtype=str(segmenter.dtype).removeprefix("torch."),
            batch_size=segmenter.batch_size,
        )
        self.clustering = clustering

    def group(self, images: Sequence[ImageInput]) -> list[GroupedImage]:
        """Find clusters in place of groups; see `Segmenter.group`."""
        return [
            replace(one, windows=tuple(_clustered(x, self.clustering) for x in one.windows))
            for one in super().group(images)
        ]


def _clustered(window: GroupedWindow, clustering: Clustering) -> GroupedWindow:
    """The window with clusters of its patches as the groups of its only stage."""
    members = cluster(window.patch_embeddings(), clustering)
    shares = F.one_hot(members, int(members.max()) + 1).float().mT
    segments = F.normalize(shares @ window.patch_embeddings(), dim=-1)
    return replace(
        window,
        assignments=(shares,),
        segments=segments,
        naming="segments",
        naming_embeddings=segments,
    )


def cluster(
    features: Float[Tensor, "token embedding"], clustering: Clustering
) -> Int[Tensor, " token"]:
    """The cluster of every patch, numbered from 0; the same for the same features.

    Args:
        features: What patches mean, L2-normalized.
        clustering: How.
    """
    from sklearn.cluster import KMeans, MeanShift, SpectralClustering, estimate_bandwidth

    points = features.detach().cpu().double().numpy()
    most = min(clustering.num_groups, len(np.unique(points, axis=0)))
    if clustering.method == "pixels" or most == len(points):
        members = np.arange(len(points))
    elif clustering.method == "kmeans":
        members = KMeans(most, n_init=RESTARTS, random_state=0).fit_predict(points)
    elif clustering.method == "mean-shift":
        bandwidth = estimate_bandwidth(points, quantile=QUANTILE, random_state=0)
        members = MeanShift(bandwidth=bandwidth or None).fit_predict(points)
    else:
        alike = (1 + points @ points.T) / 2
        spectral = SpectralClustering(most, affinity="precomputed", random_state=0)
        members = spectral.fit_predict(alike.clip(0, 1))
    _, compact = np.unique(members, return_inverse=True)
    return torch.from_numpy(compact.astype(np.int64)).to(features.device)
