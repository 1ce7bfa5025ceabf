"""Limits of requests to the server."""

from collections.abc import Sequence
from dataclasses import dataclass

from groupvit.errors import InputError
from groupvit.text.prompts import split_labels


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """Sizes, numbers and times; a request beyond one of them is refused before any computation."""

    max_upload_bytes: int = 20_000_000
    """Size of a request [bytes]."""
    max_pixels: int = 40_000_000
    """Pixels of an image by its header, checked before it is decoded."""
    max_labels: int = 200
    """Labels for one image, background words included."""
    max_label_length: int = 100
    """Length of a label [characters]."""
    max_requests: int = 32
    """Requests in progress at the same time."""
    max_uploads: int = 64
    """Requests that arrive at the same time; of more, the one that began first is refused."""
    batch_size: int = 8
    """Images that go through the network together, at most."""
    batch_wait: float = 0.005
    """Time that the first image of a batch waits for others [s]."""
    upload_seconds: float = 20.0
    """Time in which a request has to arrive [s]."""
    answer_seconds: float = 60.0
    """Time in which it has to be answered, from its arrival [s]."""
    max_sessions: int = 64
    """Images whose groups are kept; the least recently used are dropped."""
    max_session_bytes: int = 300_000_000
    """Memory of these images and groups [bytes]."""
    session_seconds: float = 900.0
    """Time after its last use for which a session is kept [s]."""

    def __post_init__(self) -> None:
        """Check the numbers that users set."""
        for name in (
            "max_upload_bytes",
            "max_pixels",
            "max_labels",
            "max_label_length",
            "max_requests",
            "max_uploads",
            "batch_size",
            "max_sessions",
            "max_session_bytes",
        ):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; give at least 1")
        for name in ("upload_seconds", "answer_seconds", "session_seconds"):
            if getattr(self, name) <= 0:
                raise InputError(f"{name} is {getattr(self, name)}; give more than 0")

    @property
    def max_pixels_in_work(self) -> int:
        """Pixels of all images that are decoded and computed at the same time."""
        return 2 * self.max_pixels

    def check_labels(self, labels: Sequence[str]) -> None:
        """Check the number and the length of labels.

        Raises:
            InputError: There are too many, or one is too long.
        """
        labels = split_labels(labels)
        if len(labels) > self.max_labels:
            raise InputError(f"{len(labels)} labels are given; the limit is {self.max_labels}")
        for label in labels:
            if len(label) > self.max_label_length:
                raise InputError(
                    f"a label has {len(label)} characters; the limit is {self.max_label_length}"
                )
