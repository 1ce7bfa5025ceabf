"""Segmentation service that the API and the page share: a model, its worker, and limits."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import numpy as np
from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, HTTPException
from jaxtyping import UInt8

from groupvit import imaging
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.labels import Labels
from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.limits import RequestLimits
from groupvit.serving.metrics import Metrics
from groupvit.serving.requests import LabelSettings
from groupvit.serving.sessions import Sessions
from groupvit.serving.worker import Worker
from groupvit.text.background import Background

NUM_DECODERS = 2
"""Images that are decoded at the same time; each takes up to three times its pixels in memory."""
Result = TypeVar("Result")


class Service:
    """Decodes images and computes results, batched over all requests."""

    _worker: Worker
    _decoders: CapacityLimiter
    _budget: "PixelBudget"

    def __init__(
        self, segmenter: Segmenter, name: str, limits: RequestLimits, metrics: Metrics
    ) -> None:
        """Make a service, which runs within its `lifespan`.

        Args:
            segmenter: Model, which only the service may use.
            name: Name of the model.
            limits: Limits of requests.
            metrics: Metrics in which batches are counted.
        """
        self.segmenter, self.name, self.limits, self.metrics = segmenter, name, limits, metrics
        self.sessions = Sessions(limits)

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Run the worker; at the end, queued jobs are finished."""
        self._decoders = CapacityLimiter(NUM_DECODERS)
        self._budget = PixelBudget(self.limits.max_pixels_in_work, self.limits.answer_seconds)
        self._worker = Worker(
            self.segmenter,
            batch_size=self.limits.batch_size,
            wait=self.limits.batch_wait,
            on_batch=self.metrics.batch_images.observe,
        )
        yield
        self.sessions.close()
        await to_thread.run_sync(self._worker.close)

    @asynccontextmanager
    async def decoded(self, data: bytes) -> AsyncIterator[UInt8[np.ndarray, "height width 3"]]:
        """Image as RGB, 0 to 255, which may be used inside of the context.

        All images in work have at most `RequestLimits.max_pixels_in_work` pixels; others wait.

        Raises:
            InputError: It is damaged, in an unknown format, or has too many pixels.
            HTTPException: 429: the time limit was reached.
        """
        name, most = "the image", self.limits.max_pixels
        count = partial(imaging.num_pixels, data, name=name)
        # A larger image is refused before it is decoded.
        pixels = min(most, await to_thread.run_sync(count, limiter=self._decoders))
        async with self._budget.taken(pixels):
            decode = partial(imaging.decode, data, name=name, max_pixels=most)
            yield await to_thread.run_sync(decode, limiter=self._decoders)

    def parsed(self, settings: LabelSettings) -> tuple[Labels, Background | None]:
        """Labels and background of a request.

        Raises:
            InputError: They are invalid, or beyond the limits.
        """
        self.limits.check_labels([*settings.labels, *settings.background_words])
        background = settings.background_of(self.segmenter)
        return self.segmenter.parse(settings.labels, background), background

    async def group(
        self,
        image: UInt8[np.ndarray, "height width 3"],
        finish: Callable[[GroupedImage], Result],
    ) -> Result:
        """Group an image in the worker, and compute a result from its groups.

        Args:
            image: RGB, 0 to 255.
            finish: Computes the result from the grouped image, in the worker's thread.

        Raises:
            HTTPException: 429: the time limit was reached.
        """
        return await self._answer(self._worker.group(image, finish))

    async def compute(self, finish: Callable[[], Result]) -> Result:
        """Compute a result in the worker's thread.

        Raises:
            HTTPException: 429: the time limit was reached.
        """
        return await self._answer(self._worker.compute(finish))

    async def _answer(self, result: "Future[Result]") -> Result:
        try:
            return await asyncio.wait_for(asyncio.wrap_future(result), self.limits.answer_seconds)
        except TimeoutError:
            raise _late() from None


class PixelBudget:
    """Pixels of the images in work at the same time.

    Args:
        total: Their number.
        seconds: Longest wait for a part of it [s].
    """

    def __init__(self, total: int, seconds: float) -> None:
        self._free, self._seconds, self._changed = total, seconds, asyncio.Condition()

    @asynccontextmanager
    async def taken(self, pixels: int) -> AsyncIterator[None]:
        """Context in which so many pixels are taken, once they are free.

        Args:
            pixels: At most the total.

        Raises:
            HTTPException: 429: they did not become free in time.
        """
        try:
            async with asyncio.timeout(self._seconds), self._changed:
                await self._changed.wait_for(lambda: self._free >= pixels)
                self._free -= pixels
        except TimeoutError:
            raise _late() from None
        try:
            yield
        finally:
            self._free += pixels
            async with self._changed:
                self._changed.notify_all()


def _late() -> HTTPException:
    return HTTPException(
        429, "no time was left to compute this; try again", headers={"Retry-After": "5"}
    )
