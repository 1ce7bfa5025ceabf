"""What the routes and the page share: the model, its worker, and the limits."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
from anyio import CapacityLimiter, to_thread
from fastapi import HTTPException
from jaxtyping import UInt8

from groupvit import imaging
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.limits import Limits
from groupvit.serving.metrics import Metrics
from groupvit.serving.worker import Worker

DECODING = 2
"""Images that are decoded at once; each may take its pixels three times in memory."""
Answer = TypeVar("Answer")


class Service:
    """Where requests of every kind hand in their images and wait for what comes of them."""

    def __init__(self, segmenter: Segmenter, name: str, limits: Limits, metrics: Metrics) -> None:
        """Open it; the worker's thread starts.

        Args:
            segmenter: The model; nothing else may use it meanwhile.
            name: What the model is called.
            limits: What a client may ask for.
            metrics: Where batches are counted.
        """
        self.segmenter, self.name, self.limits, self.metrics = segmenter, name, limits, metrics
        self._worker = Worker(
            segmenter, batch=limits.batch, wait=limits.wait, on_batch=metrics.batch
        )
        self._decoding = CapacityLimiter(DECODING)

    async def decoded(self, data: bytes) -> UInt8[np.ndarray, "height width 3"]:
        """The pixels of an image.

        Raises:
            InputError: It is damaged, in another format, or has too many of them.
        """
        decode = partial(imaging.decode, data, name="the image", max_pixels=self.limits.pixels)
        return await to_thread.run_sync(decode, limiter=self._decoding)

    async def computed(
        self, image: np.ndarray | None, then: Callable[[GroupedImage | None], Answer]
    ) -> Answer:
        """What the worker makes of an image, in its turn and in time.

        Args:
            image: RGB, 0 to 255; None where nothing is to be grouped.
            then: Makes the answer of the groups; the worker calls it.

        Raises:
            HTTPException: 429: there was no time for it.
        """
        future = asyncio.wrap_future(self._worker.submit(image, then))
        try:
            return await asyncio.wait_for(future, self.limits.answer_seconds)
        except TimeoutError:
            raise HTTPException(
                429, "no time was left to compute this; come back", headers={"Retry-After": "5"}
            ) from None

    async def close(self) -> None:
        """Finish what is queued, and stop."""
        await to_thread.run_sync(self._worker.close)
