"""Estimate of the time and bytes of a run over many images, from a few that are measured."""

import time
from collections.abc import Sequence
from itertools import chain, islice
from typing import NamedTuple

from groupvit import storage
from groupvit.bulk import images, results
from groupvit.bulk.shards import Shard
from groupvit.errors import InputError
from groupvit.segmentation.each import Labeling, segment_each
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background


class Rate(NamedTuple):
    """Measured figures of one worker."""

    images: float
    """Images in a second [1/s]."""
    read: float
    """Bytes of the source for each image [bytes]."""
    written: float
    """Bytes of the row of each image as JSON, which tables compress further [bytes]."""


def measure(
    segmenter: Segmenter,
    shards: Sequence[Shard],
    labels: Sequence[str],
    *,
    background: Background | None,
    number: int,
) -> Rate:
    """Segment the first images of shards and measure; nothing is written.

    The first batch is not counted: memory and caches are empty then.

    Args:
        segmenter: Model.
        shards: Shards of a run.
        labels: See `Segmenter.__call__`.
        background: Thresholds and words of the background.
        number: Number of images that are measured.

    Raises:
        InputError: There are too few images that can be read.
    """
    every = chain.from_iterable(map(images.read, shards))
    labeling = Labeling(segmenter.parse(labels, background), background)
    begun, written = 0.0, []
    for place, (key, _, result, error) in enumerate(
        segment_each(segmenter, islice(every, segmenter.batch_size + number), lambda _key: labeling)
    ):
        row = results.row_of(key, result, error)
        if place < segmenter.batch_size:
            begun = time.perf_counter()
        elif not error:
            written.append(len(results.to_json(row)))
    seconds = time.perf_counter() - begun
    if not written:
        raise InputError(
            f"the sources hold {segmenter.batch_size} images or less that can be read; more are "
            "needed for a measurement"
        )
    first = shards[0]
    size = sum(map(storage.size, first.paths)) / sum(1 for _ in images.read(first))
    return Rate(len(written) / seconds, size, sum(written) / len(written))
