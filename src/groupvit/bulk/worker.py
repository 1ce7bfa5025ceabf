"""The worker: a process with a model that segments one shard after the other."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from groupvit.bulk import images, results
from groupvit.bulk.images import Images
from groupvit.bulk.shards import Shard
from groupvit.errors import InputError
from groupvit.formats import ShardFormat
from groupvit.segmentation.each import Labeling, ReadImage, segment_each
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work of a run on every shard; can be sent to other processes."""

    load: Callable[[str | None], Segmenter]
    """Function that loads the model, on this device; None: the one that the user chose."""
    labels: tuple[str, ...]
    """Labels, as `Segmenter.__call__` takes them."""
    background: Background | None
    """Thresholds and words of the background; None: every pixel has a label."""
    top_labels: int | Literal["all"] | None
    """Number of labels that may be used in a window; see `Segmenter.__call__`."""
    out: str
    """Address of the results."""
    output: ShardFormat
    """Kind of file."""


class Done(NamedTuple):
    """Report on a shard."""

    name: str
    num_images: int = 0
    """Number of rows."""
    num_failed: int = 0
    """Number of rows with an error instead of masks."""
    seconds: float = 0.0
    """Time that the shard took [s]."""
    waiting: float = 0.0
    """Part of it that was spent on reading, without decoding [s]."""
    error: str = ""
    """Reason why the shard has no result; empty: it has."""


class Worker:
    """Model and labels, held for all shards."""

    def __init__(self, job: Job, device: str | None = None) -> None:
        """Load the model.

        Args:
            job: Work of the run.
            device: Device of this worker; None: the one that the user chose.

        Raises:
            InputError: The model or a label is wrong.
        """
        self._job = job
        self._segmenter = job.load(device)
        labels = self._segmenter.parse(job.labels, job.background)
        self._labeling = Labeling(labels, job.background)

    def segment(self, shard: Shard) -> Done:
        """Segment the images of a shard and write its result; a shard with errors is reported."""
        job, start = self._job, time.perf_counter()
        num_images = num_failed = 0
        reading = _Timed(images.read(shard))
        try:
            with results.new(job.out, shard.name, job.output) as write:
                for key, _, result, error in segment_each(
                    self._segmenter,
                    reading,
                    lambda _key: self._labeling,
                    top_labels=job.top_labels,
                ):
                    write(results.row_of(key, result, error), result)
                    num_images += 1
                    num_failed += bool(error)
        except InputError as error:
            return Done(shard.name, error=str(error))
        seconds = time.perf_counter() - start
        return Done(shard.name, num_images, num_failed, seconds, reading.seconds)


class _Timed(Iterator[tuple[str, ReadImage]]):
    """Images, and the time that was spent waiting for them."""

    def __init__(self, inner: Images) -> None:
        self._inner = inner
        self.seconds = 0.0

    def __next__(self) -> tuple[str, ReadImage]:
        start = time.perf_counter()
        try:
            return next(self._inner)
        finally:
            self.seconds += time.perf_counter() - start
