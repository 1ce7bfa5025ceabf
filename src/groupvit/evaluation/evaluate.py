"""A model on a benchmark: what its label maps score, and what its groups could."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from groupvit.distributed import Ranks
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Benchmark, Sample
from groupvit.evaluation.evaluation import Evaluation, summed
from groupvit.evaluation.journal import Journal
from groupvit.evaluation.per_image import Counts, count
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.protocol import BenchmarkSettings
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background
from groupvit.text.prompts import BACKGROUND, parse_label

OnProgress = Callable[[int, int], object]
"""Told how many images are done, and of how many."""


class Question(NamedTuple):
    """What a model is asked for on a benchmark."""

    labels: tuple[str, ...]
    """What is said for every class."""
    background: Background | None
    """What belongs to no class, if the benchmark knows that."""


def asked(benchmark: Benchmark, segmenter: Segmenter, given: Background | None = None) -> Question:
    """The words and the background that a protocol prescribes for a benchmark.

    Args:
        benchmark: The images.
        segmenter: The model, and the protocol by which it looks at images.
        given: Its thresholds, and words if it has any, count instead of the protocol's.

    Raises:
        InputError: There is a threshold, but no background.
    """
    conditions = segmenter.protocol.settings_for(benchmark.key)
    labels = tuple(conditions.words.get(label, label) for label in benchmark.labels)
    if benchmark.has_background:
        prescribed = _prescribed(conditions, segmenter, labels)
        return Question(labels, prescribed if given is None else _over(prescribed, given))
    if given is not None:
        raise InputError(
            f"the classes of {benchmark.name} begin with no background; leave its threshold out"
        )
    return Question(labels, None)


def _prescribed(
    conditions: BenchmarkSettings, segmenter: Segmenter, labels: Sequence[str]
) -> Background:
    """The background of the protocol, which may leave its threshold to the model."""
    if conditions.threshold is None:
        return replace(segmenter.default_background(labels), words=conditions.background_words)
    return Background(threshold=conditions.threshold, words=conditions.background_words)


def _over(prescribed: Background, given: Background) -> Background:
    """What a person gives, and from the protocol what they leave open."""
    if given.threshold is None and not given.thresholds:
        return replace(prescribed, words=given.words or prescribed.words)
    threshold = prescribed.threshold if given.threshold is None else given.threshold
    return replace(given, threshold=threshold, words=given.words or prescribed.words)


def names(benchmark: Benchmark) -> tuple[str, ...]:
    """The names of all classes, the background first if there is one."""
    labels = tuple(parse_label(label).name for label in benchmark.labels)
    return (BACKGROUND, *labels) if benchmark.has_background else labels


def evaluate(
    segmenter: Segmenter,
    benchmark: Benchmark,
    *,
    limit: int | None = None,
    background: Background | None = None,
    journal: Journal | None = None,
    ranks: Ranks | None = None,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Segment the images of a benchmark by its labels and score them.

    As many images are held at once as the segmenter takes windows. If the protocol refines label
    maps, the groups of the oracle are refined alike.

    Args:
        segmenter: The model, and how it looks at images.
        benchmark: The images.
        limit: Only so many of them, the first ones.
        background: Thresholds, and words, instead of those that the protocol prescribes. Only for
            benchmarks whose first class is the background.
        journal: Where every image is noted, and what was done before; None: nowhere.
        ranks: The processes that share the images; None: this one has them all.
        on_progress: Told after every image of this process.

    Returns:
        The same on every rank, however many there are.

    Raises:
        InputError: An image or mask cannot be used, no pixel counts, the limit is below 1, or a
            threshold has nothing to do.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}; give at least 1")
    ranks = ranks or Ranks()
    question = asked(benchmark, segmenter, background)
    num_images = min(limit or len(benchmark), len(benchmark))
    done = [one for one in (journal.done if journal else ()) if one.index < num_images]
    mine = range(ranks.rank, num_images, ranks.world_size)
    left = sorted(set(mine) - {one.index for one in done})
    start, new = time.perf_counter(), list[Counts]()
    for counts in _counted(segmenter, benchmark, question, left):
        new.append(counts)
        if journal is not None:
            journal.add(counts)
        if on_progress is not None:
            on_progress(len(new), len(left))
    everything = [one for part in ranks.gather_objects(new) for one in part]
    if not any(len(one.confusion) for one in (*done, *everything)):
        raise InputError(f"all masks of {benchmark.name} are 255, so that no pixel counts")
    return summed(
        [*done, *everything],
        names(benchmark),
        seconds=time.perf_counter() - start,
        num_timed=len(everything),
    )


def _counted(
    segmenter: Segmenter, benchmark: Benchmark, question: Question, indices: Sequence[int]
) -> Iterator[Counts]:
    for index, sample, grouped in _grouped(segmenter, benchmark, indices):
        yield count(
            index,
            sample,
            segmenter.label(grouped, question.labels, background=question.background),
            num_labels=len(benchmark.labels) + benchmark.has_background,
            has_background=benchmark.has_background,
        )


def _grouped(
    segmenter: Segmenter, benchmark: Benchmark, indices: Sequence[int]
) -> Iterator[tuple[int, Sample, GroupedImage]]:
    size = segmenter.batch_size
    for some in (indices[start : start + size] for start in range(0, len(indices), size)):
        samples = [benchmark[index] for index in some]
        found = segmenter.group([sample.image for sample in samples])
        yield from zip(some, samples, found, strict=True)
