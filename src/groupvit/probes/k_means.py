"""k-means, deterministic: rows are grouped by their squared distance to means."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64

ROUNDS = 20
"""Rounds, at most."""


class Clusters(NamedTuple):
    """Result of k-means."""

    members: Int64[np.ndarray, " row"]
    """Cluster of every row."""
    error: float
    """Sum of the squared distances of the rows to the means of their clusters."""


def k_means(
    values: Float[np.ndarray, "row value"], num: int, *, seed: int = 0, rounds: int = ROUNDS
) -> Int64[np.ndarray, " row"]:
    """Cluster of every row.

    Starts from rows drawn by k-means++ (Arthur and Vassilvitskii 2007) and ends when no row changes
    its cluster. A cluster that loses all rows stays empty.

    Args:
        values: Rows, at least one.
        num: Number of clusters, at least 1.
        seed: Seed of the draw.
        rounds: Rounds, at most.
    """
    centers, clusters = _starts(values, num, seed), np.full(len(values), -1)
    for _ in range(rounds):
        # The squared distance to each center, less the squared length of the row.
        nearest = (np.square(centers).sum(axis=1) - 2 * values @ centers.T).argmin(axis=1)
        if (nearest == clusters).all():
            break
        clusters = nearest
        means, counts = cluster_means(values, clusters, num)
        centers = np.where(counts[:, None] > 0, means, centers)
    return clusters


def restarts(
    values: Float[np.ndarray, "row value"], num: int, *, seeds: int, rounds: int = ROUNDS
) -> list[Clusters]:
    """k-means by each of the seeds from 0.

    Args:
        values: Rows, at least one.
        num: Number of clusters, at least 1.
        seeds: Number of seeds.
        rounds: Rounds of each, at most.
    """
    found = (k_means(values, num, seed=seed, rounds=rounds) for seed in range(seeds))
    return [Clusters(members, _error(values, members, num)) for members in found]


def cluster_means(
    values: Float[np.ndarray, "row value"], clusters: Int64[np.ndarray, " row"], num: int
) -> tuple[Float[np.ndarray, "cluster value"], Float[np.ndarray, " cluster"]]:
    """Mean and number of the rows of each cluster; 0 of an empty one."""
    members = np.eye(num, dtype=values.dtype)[clusters]  # (row, cluster)
    counts = members.sum(axis=0)
    return members.T @ values / np.maximum(counts, 1)[:, None], counts


def _error(
    values: Float[np.ndarray, "row value"], clusters: Int64[np.ndarray, " row"], num: int
) -> float:
    means, _ = cluster_means(values, clusters, num)
    return float(np.square(values - means[clusters]).sum(dtype=np.float64))


def _starts(
    values: Float[np.ndarray, "row value"], num: int, seed: int
) -> Float[np.ndarray, "cluster value"]:
    """Rows drawn one by one, with probability by the squared distance to those drawn before."""
    rng = np.random.default_rng(seed)
    chosen = [int(rng.integers(len(values)))]
    distance = np.full(len(values), np.inf)
    while len(chosen) < num:
        distance = np.minimum(distance, np.square(values - values[chosen[-1]]).sum(axis=1))
        total = distance.sum()
        chosen.append(int(rng.choice(len(values), p=distance / total)) if total > 0 else 0)
    return values[chosen]
