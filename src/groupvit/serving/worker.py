"""Thread that computes: images that arrive at the same time go through the network as a batch."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import UInt8

from groupvit.errors import InputError
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.segmenter import Segmenter

Result = TypeVar("Result")


class Job(NamedTuple):
    """Computation of a result, from the groups of an image or from nothing."""

    image: UInt8[np.ndarray, "height width 3"] | None
    """RGB, 0 to 255; None: nothing is grouped."""
    finish: Callable[..., Any]
    """Computes the result, in the worker's thread; gets the grouped image if there is one."""
    result: "Future[Any]"


class Worker:
    """Takes jobs from any thread, and computes them in batches in a thread of its own."""

    def __init__(
        self,
        segmenter: Segmenter,
        *,
        batch_size: int,
        wait: float,
        on_batch: Callable[[int], object] = lambda _: None,
    ) -> None:
        """Start the thread.

        Args:
            segmenter: Model, which only the worker may use.
            batch_size: Images in a batch, at most.
            wait: Time that the first image of a batch waits for others [s].
            on_batch: Called with the number of images in each batch.
        """
        self._segmenter = segmenter
        self._batch_size, self._wait, self._on_batch = batch_size, wait, on_batch
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="groupvit-worker", daemon=True)
        self._thread.start()

    def group(
        self, image: UInt8[np.ndarray, "height width 3"], finish: Callable[[GroupedImage], Result]
    ) -> "Future[Result]":
        """Queue the grouping of an image and what is computed from its groups.

        A future that is canceled before its batch begins costs nothing.
        """
        return self._queue(Job(image, finish, Future()))

    def compute(self, finish: Callable[[], Result]) -> "Future[Result]":
        """Queue a computation without an image."""
        return self._queue(Job(None, finish, Future()))

    def _queue(self, job: Job) -> "Future[Any]":
        self._jobs.put(job)
        return job.result

    def close(self) -> None:
        """Finish all queued jobs, and stop the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while jobs := self._next_batch():
            self._process(jobs)

    def _next_batch(self) -> list[Job]:
        """Wait for a job, and collect those that follow in time; empty: the worker is closed."""
        jobs: list[Job] = []
        job = self._jobs.get()
        end = time.monotonic() + self._wait
        while job is not None:
            jobs.append(job)
            if len(jobs) == self._batch_size:
                return jobs
            try:
                job = self._jobs.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return jobs
        self._jobs.put(None)  # the next batch is empty
        return jobs

    def _process(self, jobs: Sequence[Job]) -> None:
        with_images = []
        for job in jobs:
            if not job.result.set_running_or_notify_cancel():
                continue
            if job.image is None:
                _finish(job)
            else:
                with_images.append(job)
        if with_images:
            self._on_batch(len(with_images))
            self._group(with_images)

    def _group(self, jobs: Sequence[Job]) -> None:
        """Group the images of jobs, and finish the jobs; an error concerns those that cause it."""
        try:
            grouped = self._segmenter.group(list(map(attrgetter("image"), jobs)))
        except Exception as error:
            if isinstance(error, InputError) and len(jobs) > 1:
                for job in jobs:
                    self._group([job])
            else:
                for job in jobs:
                    job.result.set_exception(error)
            return
        for job, image in zip(jobs, grouped, strict=True):
            _finish(job, image)


def _finish(job: Job, *grouped: GroupedImage) -> None:
    try:
        job.result.set_result(job.finish(*grouped))
    except Exception as error:
        job.result.set_exception(error)
