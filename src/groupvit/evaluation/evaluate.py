"""A model on a benchmark: what its label maps score, and what its groups could."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from groupvit.errors import InputError
from groupvit.evaluation.benchmark import Benchmark, Sample
from groupvit.evaluation.oracle import oracle_map
from groupvit.evaluation.scores import Confusion, Scores
from groupvit.segmentation.background import Background
from groupvit.segmentation.groups import GroupedPicture
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.prompts import BACKGROUND, parse_labels

OnProgress = Callable[[int, int], object]
"""Told how many pictures are done, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How well a model does on a benchmark."""

    scores: Scores
    """Of the label maps."""
    oracles: tuple[Scores, ...]
    """For each stage, the first first: what its groups would score with the right words."""
    groups_used: tuple[float, ...]
    """For each stage, how many groups have pixels of their own in a picture, on average."""
    num_pictures: int
    """How many pictures were scored."""
    seconds: float
    """How long that took, reading the files included."""

    @property
    def oracle(self) -> Scores:
        """Of the groups that take the words: those of the last stage."""
        return self.oracles[-1]

    def to_values(self) -> dict[str, Any]:
        """Everything as values for JSON; a class that occurs nowhere has None."""
        return {
            "scores": _values(self.scores),
            "oracles": [_values(scores) for scores in self.oracles],
            "groups_used": list(self.groups_used),
            "num_pictures": self.num_pictures,
            "seconds": self.seconds,
        }


class _Tally:
    """What is counted while pictures pass."""

    def __init__(self, num_labels: int) -> None:
        self._num_labels = num_labels
        self.labels = Confusion(num_labels)
        self.oracles: list[Confusion] = []
        self.groups: list[int] = []

    def add(self, sample: Sample, label_map: np.ndarray, grouped: GroupedPicture) -> None:
        """Count a picture."""
        self.labels.add(sample.mask, label_map)
        if not self.oracles:
            self.oracles = [Confusion(self._num_labels) for _ in range(grouped.num_stages)]
            self.groups = [0] * grouped.num_stages
        for stage, oracle in enumerate(self.oracles):
            groups = grouped.group_map(stage)
            self.groups[stage] += len(np.unique(groups))
            oracle.add(sample.mask, oracle_map(sample.mask, groups, self._num_labels))


def evaluate(
    segmenter: Segmenter,
    benchmark: Benchmark,
    *,
    limit: int | None = None,
    background_threshold: float | None = None,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Segment the pictures of a benchmark by its labels and score them.

    As many pictures are held at once as the segmenter takes windows. If the protocol refines label
    maps, the groups of the oracle are refined alike.

    Args:
        segmenter: The model, and how it looks at pictures.
        benchmark: The pictures.
        limit: Only so many of them, the first ones.
        background_threshold: Groups that score below it, in [0, 1], are background; exactly for
            benchmarks whose first class is that.
        on_progress: Told after every picture.

    Raises:
        InputError: A picture or mask cannot be used, no pixel counts, the limit is below 1, or a
            threshold is missing or has nothing to do.
    """
    background = _background(benchmark, background_threshold)
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}; give at least 1")
    num_pictures = min(limit or len(benchmark), len(benchmark))
    tally = _Tally(len(benchmark.labels) + benchmark.has_background)
    start = time.perf_counter()
    for done, (sample, grouped) in enumerate(_grouped(segmenter, benchmark, num_pictures), 1):
        result = segmenter.label(grouped, benchmark.labels, background=background)
        tally.add(sample, result.label_map, grouped)
        if on_progress is not None:
            on_progress(done, num_pictures)
    if not tally.labels.table.any():
        raise InputError(f"all masks of {benchmark.name} are 255, so that no pixel counts")
    return _summary(tally, _names(benchmark), num_pictures, time.perf_counter() - start)


def _background(benchmark: Benchmark, threshold: float | None) -> Background | None:
    if benchmark.has_background and threshold is None:
        raise InputError(
            f"the first class of {benchmark.name} is the background, which no word stands for; "
            "give a background threshold, such as 0.5"
        )
    if not benchmark.has_background and threshold is not None:
        raise InputError(
            f"the classes of {benchmark.name} begin with no background; "
            "leave the background threshold out"
        )
    return None if threshold is None else Background(threshold=threshold)


def _grouped(
    segmenter: Segmenter, benchmark: Benchmark, num_pictures: int
) -> Iterator[tuple[Sample, GroupedPicture]]:
    for start in range(0, num_pictures, segmenter.batch_size):
        stop = min(start + segmenter.batch_size, num_pictures)
        samples = [benchmark[index] for index in range(start, stop)]
        yield from zip(
            samples, segmenter.group([sample.picture for sample in samples]), strict=True
        )


def _names(benchmark: Benchmark) -> tuple[str, ...]:
    names = tuple(label.name for label in parse_labels(benchmark.labels))
    return (BACKGROUND, *names) if benchmark.has_background else names


def _summary(
    tally: _Tally, names: tuple[str, ...], num_pictures: int, seconds: float
) -> Evaluation:
    return Evaluation(
        scores=tally.labels.scores(names),
        oracles=tuple(oracle.scores(names) for oracle in tally.oracles),
        groups_used=tuple(count / num_pictures for count in tally.groups),
        num_pictures=num_pictures,
        seconds=seconds,
    )


def _values(scores: Scores) -> dict[str, Any]:
    per_class = dict(zip(scores.labels, scores.iou, strict=True))
    return {
        "miou": scores.miou,
        "mean_accuracy": scores.mean_accuracy,
        "pixel_accuracy": scores.pixel_accuracy,
        "iou": per_class,
    }
