"""Evaluation of a model on a benchmark: label maps against masks, and groups against masks."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from groupvit.distributed import Ranks
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.benchmarks.mask_survey import checked
from groupvit.evaluation.evaluation import Evaluation, summed
from groupvit.evaluation.journal import CountsJournal, Journal, data_of, opened
from groupvit.evaluation.measurement import Measurement, class_names
from groupvit.evaluation.per_image import ImageCounts, count
from groupvit.evaluation.verdict import stage_floors
from groupvit.progress import OnProgress
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background


def evaluate(
    segmenter: Segmenter,
    benchmark: Benchmark,
    *,
    limit: int | None = None,
    background: Background | None = None,
    folder: Path | None = None,
    prepare: Callable[[], object] | None = None,
    ranks: Ranks | None = None,
    floors: bool = False,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Segment the images of a benchmark by its labels and score label maps and groups.

    Memory holds as many images as the segmenter's batch has windows. If the protocol refines
    label maps, the groups of the oracle are refined too.

    Args:
        segmenter: Model and protocol.
        benchmark: Images with masks.
        limit: Maximum number of images, the first ones; None: all.
        background: Thresholds, and words if any, that replace those of the protocol. Only for
            benchmarks whose first class is the background.
        folder: Folder of the journal, from which an interrupted evaluation resumes; None: no
            journal. No other evaluation can use it at the same time.
        prepare: Called on rank 0 when the folder is this evaluation's own, before the journal is
            read; may delete it.
        ranks: Processes that share the images; None: this process alone.
        floors: Measure the floors of the oracles too (`groupvit.evaluation.floors`). All images are
            read once more, and no journal holds the floors.
        on_progress: Called after every image of this process, and again from 1 for the floors.

    Returns:
        The same on every rank, and for any number of ranks.

    Raises:
        InputError: An image or mask cannot be used, the masks of a folder seem to be of another
            kind (see `MaskSurvey.check`), no pixel counts, the limit is below 1, a background is
            given to a benchmark without one, or the folder holds another measurement, one of
            other data, or a damaged line, or is in use.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}; give at least 1")
    ranks = ranks or Ranks()
    checked(benchmark)
    measurement = Measurement.of(segmenter, benchmark, background)
    [data, *_] = ranks.gather_objects(data_of(benchmark) if folder else "")
    make = partial(Journal, folder, measurement, data) if folder else None
    with opened(make, ranks, prepare) as journal:
        return _resumed(
            segmenter,
            benchmark,
            measurement,
            journal,
            limit=limit,
            ranks=ranks,
            floors=floors,
            on_progress=on_progress,
        )


def _resumed(
    segmenter: Segmenter,
    benchmark: Benchmark,
    measurement: Measurement,
    journal: CountsJournal[ImageCounts] | None,
    *,
    limit: int | None,
    ranks: Ranks,
    floors: bool,
    on_progress: OnProgress | None,
) -> Evaluation:
    """Evaluation of the images that the journal holds and of those that are left."""
    num_images = min(limit or len(benchmark), len(benchmark))
    left = set(range(ranks.rank, num_images, ranks.world_size))
    counted = list[ImageCounts]()
    for one in journal.done if journal else ():
        left.discard(one.index)
        if one.index < num_images:
            counted.append(one)
    classes = class_names(benchmark)
    start, new = time.perf_counter(), list[ImageCounts]()
    for counts in _counts(
        segmenter, benchmark, measurement, sorted(left), num_classes=len(classes)
    ):
        new.append(counts)
        if journal is not None:
            journal.add(counts)
        if on_progress is not None:
            on_progress(len(new), len(left))
    timed = list(chain.from_iterable(ranks.gather_objects(new)))
    counted += timed
    if not any(len(one.confusion) for one in counted):
        raise InputError(f"all masks of {benchmark.name} are 255, so that no pixel counts")
    found = summed(
        counted,
        classes,
        measurement,
        seconds=time.perf_counter() - start,
        num_timed=len(timed),
    )
    if not floors:
        return found
    measured = stage_floors(
        segmenter,
        benchmark,
        counted,
        num_classes=len(classes),
        ranks=ranks,
        on_progress=on_progress,
    )
    return replace(found, floors=measured)


def _counts(
    segmenter: Segmenter,
    benchmark: Benchmark,
    measurement: Measurement,
    indices: Sequence[int],
    *,
    num_classes: int,
) -> Iterator[ImageCounts]:
    """Counts of every image, read and segmented in batches."""
    background = measurement.background
    labels = measurement.parsed()
    for start in range(0, len(indices), segmenter.batch_size):
        batch = indices[start : start + segmenter.batch_size]
        samples = [benchmark[index] for index in batch]
        grouped = segmenter.group([sample.image for sample in samples])
        for index, sample, groups in zip(batch, samples, grouped, strict=True):
            result = segmenter.label(groups, labels, background=background)
            yield count(
                index,
                sample,
                result,
                num_classes=num_classes,
                has_background=benchmark.has_background,
            )
