"""Concepts: the regions that group tokens are assigned with most certainty, and the nearest words.

The paper's figure 7 shows some: group tokens of the first stage take parts and textures, those of
the last stage whole objects, consistently over images. A model that finds its groups inside each
image has no group tokens; see `groupvit.probes.part_concepts`.
"""

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from groupvit.errors import InputError
from groupvit.probes.parts import reduced
from groupvit.progress import OnProgress
from groupvit.segmentation.groups import GroupedImage, GroupedWindow
from groupvit.segmentation.segmenter import Segmenter

SMALLEST = 0.02
"""Minimum area of an example, as a fraction of its window: a single patch shows little."""
NUM_WORDS = 3
"""Number of words of a concept, at most."""


class Example(NamedTuple):
    """Region of an image that belongs to a concept."""

    name: str
    """Name of the image."""
    certainty: float
    """Mean assignment of the region's patches to the group token, [0, 1]; of a cluster of parts the
    cosine of the region's embedding to their mean, [-1, 1]."""
    image: UInt8[np.ndarray, "height width 3"]
    """The window of the image, reduced."""
    region: Bool[np.ndarray, "height width"]
    """Pixels of the region."""
    embedding: Float[Tensor, " embedding"]
    """Embedding of the region in the space shared with text: mean over its patches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """Group token, or cluster of the parts of many images, with its regions and nearest words."""

    stage: int
    """Counted from 0."""
    group: int
    """Number of the group token, or of the cluster, whose largest is 0."""
    examples: tuple[Example, ...]
    """Most certain regions, in this order."""
    words: tuple[tuple[str, float], ...]
    """Words nearest to the examples, or to all parts of a cluster, with their cosines above 0; none
    where every word has a negative one."""
    used: float
    """Fraction of the windows in which it has patches, [0, 1]."""
    area: float
    """Fraction of all patches that it has, [0, 1]."""


@dataclass(slots=True)
class _Tally:
    """Examples and sums of one group token."""

    examples: list[tuple[float, int, Example]] = field(default_factory=list)
    used: int = 0
    area: float = 0.0

    def offer(self, example: Example, order: int, most: int) -> None:
        """Keep an example if it is among the most certain; earlier ones win ties."""
        entry = (example.certainty, -order, example)
        if len(self.examples) < most:
            heapq.heappush(self.examples, entry)
        else:
            heapq.heappushpop(self.examples, entry)


def concepts(
    segmenter: Segmenter,
    images: Sequence[Path],
    words: Sequence[str],
    *,
    num_examples: int = 6,
    on_progress: OnProgress | None = None,
) -> list[Concept]:
    """Find the regions and the nearest words of every group token.

    Args:
        segmenter: Model and protocol.
        images: Image files.
        words: Candidates for the nearest words.
        num_examples: Number of regions per group token.
        on_progress: Called after every image.

    Returns:
        Group tokens that have patches anywhere, by stage, then by falling area.

    Raises:
        InputError: An image cannot be read, or a number is below 1.
    """
    if num_examples < 1:
        raise InputError(f"num_examples is {num_examples}; give at least 1")
    tallies: dict[tuple[int, int], _Tally] = {}
    orders, num_windows = itertools.count(), 0
    for done, path in enumerate(images, start=1):
        [grouped] = segmenter.group([path])
        for window in grouped.windows:
            num_windows += 1
            _count(tallies, path.name, grouped, window, orders, num_examples)
        if on_progress is not None:
            on_progress(done, len(images))
    vocabulary = segmenter.embed_words(words)
    found = [
        _concept(stage, group, tally, words, vocabulary, num_windows)
        for (stage, group), tally in tallies.items()
    ]
    return sorted(found, key=lambda one: (one.stage, -one.area, one.group))


def _count(
    tallies: dict[tuple[int, int], _Tally],
    name: str,
    grouped: GroupedImage,
    window: GroupedWindow,
    orders: Iterator[int],
    most: int,
) -> None:
    """Add the regions of a window's groups."""
    patch_embeddings = window.patch_embeddings()  # (token, embedding)
    for stage in range(window.num_stages):
        assignment = window.patch_assignment(stage)
        certainty, winner = assignment.max(dim=0)  # of (group, token)
        image, groups = _shown(grouped, window, stage)
        for group in winner.unique().tolist():  # type: ignore[no-untyped-call]
            won = winner == group
            tally = tallies.setdefault((stage, group), _Tally())
            tally.used += 1
            tally.area += float(won.float().mean())
            if won.float().mean() < SMALLEST:
                continue
            region = (groups == group).cpu().numpy()
            embedding = patch_embeddings[won].mean(dim=0)
            example = Example(name, float(certainty[won].mean()), image, region, embedding)
            tally.offer(example, next(orders), most)


def _shown(
    grouped: GroupedImage, window: GroupedWindow, stage: int
) -> tuple[UInt8[np.ndarray, "height width 3"], Int[Tensor, "height width"]]:
    """Window of an image and the group of its every pixel, both reduced."""
    image = reduced(grouped, window)
    return image, window.group_map(stage, image.shape[:2])


def _concept(
    stage: int,
    group: int,
    tally: _Tally,
    words: Sequence[str],
    vocabulary: Float[Tensor, "word embedding"],
    num_windows: int,
) -> Concept:
    examples = tuple(example for *_, example in sorted(tally.examples, key=lambda x: x[:2])[::-1])
    nearest: tuple[tuple[str, float], ...] = ()
    if examples:
        mean = F.normalize(torch.stack([one.embedding for one in examples]).mean(dim=0), dim=0)
        nearest = nearest_words(mean, words, vocabulary)
    return Concept(
        stage=stage,
        group=group,
        examples=examples,
        words=nearest,
        used=tally.used / num_windows,
        area=tally.area / num_windows,
    )


def nearest_words(
    embedding: Float[Tensor, " embedding"],
    words: Sequence[str],
    vocabulary: Float[Tensor, "word embedding"],
) -> tuple[tuple[str, float], ...]:
    """Words nearest to an embedding, at most three, with their cosines, all above 0.

    Args:
        embedding: L2-normalized.
        words: Candidates, at least one.
        vocabulary: Their embeddings, L2-normalized.
    """
    cosines = vocabulary @ embedding
    nearest = cosines.topk(min(NUM_WORDS, len(words))).indices.tolist()
    return tuple((words[index], float(cosines[index])) for index in nearest if cosines[index] > 0)
