"""What a monitor wants to know, as Prometheus reads it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

METHODS = ("GET", "HEAD", "POST")
"""Others are counted as one, lest clients invent series."""
CLIENT_LEFT = 499
"""Noted where nobody waited for the answer."""


@dataclass(slots=True)
class Seen:
    """What became of a request."""

    status: int = CLIENT_LEFT


class Metrics:
    """Counts of one running program."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "groupvit_requests",
            "Requests by outcome.",
            ["method", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "groupvit_request_seconds",
            "From arrival to answer, under /v1.",
            registry=self._registry,
        )
        self._gauge = Gauge("groupvit_in_work", "Posts at this moment.", registry=self._registry)
        self._batches = Histogram(
            "groupvit_batch_images",
            "Images computed together.",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=self._registry,
        )
        self.in_work = 0
        """Requests that bring something, at this moment."""

    @contextmanager
    def request(self, method: str, path: str) -> Iterator[Seen]:
        """Count a request; its status is noted in what is given.

        Only those of the API are timed: a page keeps one open as long as somebody looks at it.
        """
        seen, start = Seen(), time.perf_counter()
        counted = int(method == "POST")
        self.in_work += counted
        self._gauge.set(self.in_work)
        try:
            yield seen
        finally:
            self.in_work -= counted
            self._gauge.set(self.in_work)
            if path.startswith("/v1/"):
                self._seconds.observe(time.perf_counter() - start)
            self._requests.labels(method if method in METHODS else "other", seen.status).inc()

    def batch(self, images: int) -> None:
        """Count images that were computed together."""
        self._batches.observe(images)

    def page(self) -> bytes:
        """All of it, as text."""
        return generate_latest(self._registry)
