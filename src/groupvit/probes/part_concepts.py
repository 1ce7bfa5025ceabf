"""Concepts of a model that finds its groups inside each image: clusters of parts.

The number of such a group means nothing outside its image. So the parts of many images are
clustered, stage by stage, by k-means of their embeddings in the space shared with text; a cluster
is a concept. Where the classes of pixels are known, the purity of the clusters tells how far they
agree with them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch.nn import functional as F

from groupvit.errors import InputError
from groupvit.probes.concepts import Concept, Example, nearest_words
from groupvit.probes.k_means import Clusters, restarts
from groupvit.probes.parts import ClassMasks, Parts, ShownWindow, find_parts
from groupvit.probes.purity import Purity, purities
from groupvit.progress import OnProgress
from groupvit.segmentation.network import Network
from groupvit.segmentation.segmenter import Segmenter

MAX_IMAGES = 1000
"""Number of images that are clustered at most."""
NUM_CONCEPTS = 24
"""Number of clusters of a stage."""
SEEDS, ROUNDS = 5, 50
"""Starts of k-means, the best of which is shown, and rounds of each, at most."""
SMALLEST = 0.005
"""Minimum area of an example, as a fraction of its window."""


class PartConcepts(NamedTuple):
    """Concepts of both stages and their purity."""

    concepts: list[Concept]
    """By stage, then by falling area."""
    purities: list[Purity]
    """By stage; none without masks."""


def finds_parts(network: Network) -> bool:
    """True for a model without group tokens, which finds its groups inside each image."""
    return network.config.image.grouping == "rounds"


def part_concepts(
    segmenter: Segmenter,
    images: Sequence[Path],
    words: Sequence[str],
    *,
    num_concepts: int = NUM_CONCEPTS,
    num_examples: int = 6,
    stages: Sequence[int] = (0, 1),
    masks: ClassMasks | None = None,
    on_progress: OnProgress | None = None,
) -> PartConcepts:
    """Cluster the parts of images; deterministic.

    Memory is bounded: about 300 KB for each window of an image.

    Args:
        segmenter: Model that finds its groups inside each image, with naming by parts.
        images: Image files, at most `MAX_IMAGES`.
        words: Candidates for the nearest words.
        num_concepts: Number of clusters of a stage; there are no more than parts.
        num_examples: Number of regions of a concept, each of another window.
        stages: Stages whose parts are clustered, counted from 0.
        masks: Masks of the images, for the purity; None: it is not measured.
        on_progress: Called after every image.

    Raises:
        InputError: An image cannot be read, there are too many, the model or its naming is another,
            or a number is below 1.
    """
    for name, value in (("num_concepts", num_concepts), ("num_examples", num_examples)):
        if value < 1:
            raise InputError(f"{name} is {value}; give at least 1")
    if len(images) > MAX_IMAGES:
        raise InputError(f"{len(images):,} images are given; {MAX_IMAGES:,} are the most")
    if segmenter.naming != "parts":
        raise InputError(
            "concepts of parts are clusters of the embeddings of patches; take naming 'parts'"
        )
    found = find_parts(segmenter, images, stages=stages, masks=masks, on_progress=on_progress)
    vocabulary = segmenter.embed_words(words).cpu()
    concepts: list[Concept] = []
    measured: list[Purity] = []
    for stage, parts in found.stages.items():
        starts = clusters(parts.embeddings, num_concepts)
        for number, members in enumerate(_by_area(parts, starts)):
            mean = torch.from_numpy(parts.embeddings[members].mean(axis=0))
            nearest = nearest_words(F.normalize(mean, dim=0), words, vocabulary)
            concept = Concept(
                stage=stage,
                group=number,
                examples=_examples(stage, parts, members, found.windows, num_examples),
                words=nearest,
                used=len(np.unique(parts.windows[members])) / len(found.windows),
                area=float(parts.areas[members].sum()) / len(found.windows),
            )
            concepts.append(concept)
        if masks is not None:
            trunk = clusters(parts.trunk, num_concepts)
            measured += purities(
                stage, parts.pixels, starts, trunk, has_background=masks.has_background
            )
    return PartConcepts(concepts, measured)


def clusters(features: Float[np.ndarray, "part dim"], num: int) -> list[Clusters]:
    """Clusters of parts by the direction of their features, of every start."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    points = (features / np.maximum(lengths, 1e-12)).astype(np.float32)
    return restarts(points, min(num, len(points)), seeds=SEEDS, rounds=ROUNDS)


def _by_area(parts: Parts, starts: Sequence[Clusters]) -> list[Int64[np.ndarray, " member"]]:
    """Parts of each cluster of the best start, the largest cluster first."""
    best = min(starts, key=lambda one: one.error).members
    found = [np.flatnonzero(best == cluster) for cluster in np.unique(best)]
    return sorted(found, key=lambda members: -float(parts.areas[members].sum()))


def _examples(
    stage: int,
    parts: Parts,
    members: Int64[np.ndarray, " member"],
    windows: Sequence[ShownWindow],
    most: int,
) -> tuple[Example, ...]:
    """Parts of a cluster that are nearest to its mean, each of another window."""
    embeddings = parts.embeddings[members]
    mean = embeddings.mean(axis=0)
    cosines = embeddings @ (mean / max(float(np.linalg.norm(mean)), 1e-12))
    found: dict[int, Example] = {}
    for index in np.argsort(-cosines, kind="stable").tolist():
        part, window = members[index], int(parts.windows[members[index]])
        if len(found) == most:
            break
        if window in found or parts.areas[part] < SMALLEST:
            continue
        name, image, groups = windows[window]
        region = groups[stage] == parts.groups[part]
        embedding = torch.from_numpy(parts.embeddings[part])
        found[window] = Example(name, float(cosines[index]), image, region, embedding)
    return tuple(found.values())
