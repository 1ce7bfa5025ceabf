"""Metrics of the server in Prometheus's text format."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

METHODS = ("GET", "HEAD", "POST")
"""Methods with a series of their own; clients cannot add others."""
CLIENT_CLOSED_REQUEST = 499
"""Status of a request whose client left before the answer, as nginx has it."""


@dataclass(slots=True)
class Outcome:
    """Outcome of a request."""

    status: int = CLIENT_CLOSED_REQUEST


class Metrics:
    """Counts and times of one running server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "groupvit_requests",
            "Requests by method and status.",
            ["method", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "groupvit_request_seconds",
            "Time from arrival to answer of requests under /v1.",
            registry=self._registry,
        )
        self._gauge = Gauge(
            "groupvit_in_progress", "POST requests in progress.", registry=self._registry
        )
        self.batch_images = Histogram(
            "groupvit_batch_images",
            "Images in a batch.",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=self._registry,
        )
        self.in_progress = 0
        """POST requests in progress, which have arrived."""

    @contextmanager
    def request(self, method: str, path: str) -> Iterator[Outcome]:
        """Count a request; the caller sets the status of the yielded outcome.

        Only requests to the API are timed: a page holds a connection as long as it is open.
        """
        outcome, start = Outcome(), time.perf_counter()
        try:
            yield outcome
        finally:
            if path.startswith("/v1/"):
                self._seconds.observe(time.perf_counter() - start)
            label = method if method in METHODS else "other"
            self._requests.labels(label, outcome.status).inc()

    def count_in_progress(self, change: int) -> None:
        """Add to the number of POST requests in progress."""
        self.in_progress += change
        self._gauge.set(self.in_progress)

    def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)
