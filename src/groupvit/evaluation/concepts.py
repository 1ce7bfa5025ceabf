"""Concepts: for every group token the regions that chose it most, and the words nearest to them.

The paper shows some of them (figure 7): group tokens of the first stage take parts and textures,
those of the last whole things, each the same in image after image.
"""

import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from groupvit.errors import InputError
from groupvit.segmentation.groups import GroupedImage, GroupedWindow
from groupvit.segmentation.segmenter import Segmenter

SMALLEST = 0.02
"""Regions below this share of a window are no examples: a patch alone shows little."""
LONGEST = 160
"""Examples have at most this on the longer side [pixels]."""
NUM_WORDS = 3
"""How many words a concept is told by."""


class Example(NamedTuple):
    """A region that chose a group token."""

    name: str
    """The image it lies in."""
    certainty: float
    """Mean share of the region's patches that the group took, [0, 1]."""
    image: UInt8[np.ndarray, "height width 3"]
    """The image, or the window of it, small."""
    region: Bool[np.ndarray, "height width"]
    """Which of its pixels."""
    embedding: Float[Tensor, " embedding"]
    """The region in the space shared with text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """What a group token stands for."""

    stage: int
    """Counted from 0."""
    group: int
    examples: tuple[Example, ...]
    """The most certain first."""
    words: tuple[tuple[str, float], ...]
    """Those nearest to the examples, with their cosines: one, and others that are positive."""
    used: float
    """Share of the windows in which it takes anything, [0, 1]."""
    area: float
    """Share of all patches that it takes, [0, 1]."""


@dataclass(slots=True)
class _Tally:
    """What is known of one group token."""

    examples: list[tuple[float, int, Example]] = field(default_factory=list)
    used: int = 0
    area: float = 0.0

    def offer(self, example: Example, order: int, most: int) -> None:
        """Keep it if it is among the most certain."""
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
    on_progress: Callable[[int, int], object] | None = None,
) -> list[Concept]:
    """Look for every group token through images, and tell what chose it.

    Args:
        segmenter: The model.
        images: Files.
        words: What concepts may be told by.
        num_examples: Regions kept for each group token.
        on_progress: Told how many images are done, and of how many.

    Returns:
        Group tokens that were ever chosen, stage by stage, the one with most area first.

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
    """Add what the groups of a window took."""
    meanings = window.patch_embeddings()
    for stage in range(window.num_stages):
        shares = window.patch_assignment(stage)
        certainty, winner = shares.max(dim=0)
        image, groups = _shown(grouped, window, stage)
        for group in winner.unique().tolist():  # type: ignore[no-untyped-call]
            won = winner == group
            tally = tallies.setdefault((stage, group), _Tally())
            tally.used += 1
            tally.area += float(won.float().mean())
            if won.float().mean() < SMALLEST:
                continue
            region = (groups == group).cpu().numpy()
            embedding = meanings[won].mean(dim=0)
            example = Example(name, float(certainty[won].mean()), image, region, embedding)
            tally.offer(example, next(orders), most)


def _shown(
    grouped: GroupedImage, window: GroupedWindow, stage: int
) -> tuple[UInt8[np.ndarray, "height width 3"], Int[Tensor, "height width"]]:
    """A window and the group of every pixel of it, both small."""
    place = grouped.in_image(window.box)
    step = max(1, -(-max(place.height, place.width) // LONGEST))
    image = grouped.image[place.slices][::step, ::step]
    return image.copy(), window.group_map(stage, image.shape[:2])


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
        cosines = vocabulary @ mean
        first, *others = cosines.topk(min(NUM_WORDS, len(words))).indices.tolist()
        told = [first, *(index for index in others if cosines[index] > 0)]
        nearest = tuple((words[index], float(cosines[index])) for index in told)
    return Concept(
        stage=stage,
        group=group,
        examples=examples,
        words=nearest,
        used=tally.used / num_windows,
        area=tally.area / num_windows,
    )
