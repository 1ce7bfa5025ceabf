"""One thread that computes: images that come at the same time go through the network together."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from groupvit.errors import InputError
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.segmenter import Segmenter


class Job(NamedTuple):
    """An image, and what is to be done with its groups."""

    image: UInt8[np.ndarray, "height width 3"] | None
    """RGB, 0 to 255; None where only words are asked about."""
    then: Callable[[GroupedImage | None], Any]
    """What makes the answer of the groups; the worker calls it."""
    answer: "Future[Any]"


class Worker:
    """Takes jobs from any thread, and computes them in batches in one of its own."""

    def __init__(
        self,
        segmenter: Segmenter,
        *,
        batch: int,
        wait: float,
        on_batch: Callable[[int], object] = lambda _: None,
    ) -> None:
        """Start the thread.

        Args:
            segmenter: The model; nothing else may use it meanwhile.
            batch: The most images that are computed together.
            wait: How long the first of them waits for the others [s].
            on_batch: Told how many images went through together.
        """
        self._segmenter = segmenter
        self._batch, self._wait, self._on_batch = batch, wait, on_batch
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="groupvit-worker", daemon=True)
        self._thread.start()

    def submit(
        self,
        image: UInt8[np.ndarray, "height width 3"] | None,
        then: Callable[[GroupedImage | None], Any],
    ) -> "Future[Any]":
        """Queue a job; a future that is cancelled before its turn costs nothing."""
        answer: Future[Any] = Future()
        self._jobs.put(Job(image, then, answer))
        return answer

    def close(self) -> None:
        """Finish what is queued, and stop."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            jobs, is_last = self._with_neighbors(first)
            self._compute([job for job in jobs if job.answer.set_running_or_notify_cancel()])
            if is_last:
                return

    def _with_neighbors(self, first: Job) -> tuple[list[Job], bool]:
        """The jobs that come in time, and whether they are the last ones."""
        jobs, end = [first], time.monotonic() + self._wait
        while len(jobs) < self._batch:
            try:
                job = self._jobs.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                break
            if job is None:
                return jobs, True
            jobs.append(job)
        return jobs, False

    def _compute(self, jobs: Sequence[Job]) -> None:
        seen = [job for job in jobs if job.image is not None]
        for job in jobs:
            if job.image is None:
                _finish(job, lambda: None)
        if not seen:
            return
        self._on_batch(len(seen))
        try:
            grouped = self._segmenter.group([job.image for job in seen if job.image is not None])
        except InputError:  # of one of them: each for itself then
            for job in seen:
                _finish(job, partial(self._alone, job))
            return
        except Exception as error:
            for job in seen:
                job.answer.set_exception(error)
            return
        for job, one in zip(seen, grouped, strict=True):
            _finish(job, partial(_same, one))

    def _alone(self, job: Job) -> GroupedImage:
        assert job.image is not None
        return self._segmenter.group([job.image])[0]


def _same(grouped: GroupedImage) -> GroupedImage:
    return grouped


def _finish(job: Job, groups: Callable[[], GroupedImage | None]) -> None:
    try:
        job.answer.set_result(job.then(groups()))
    except Exception as error:
        job.answer.set_exception(error)
