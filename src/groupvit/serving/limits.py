"""What one client may ask for, and how many at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from groupvit.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A request beyond any of these is answered with a sentence, and costs next to nothing."""

    upload_bytes: int = 20_000_000
    """Of a whole request."""
    pixels: int = 40_000_000
    """Of an image; told from its header, before it is decoded."""
    labels: int = 200
    """Words for one image, those of the background included."""
    label_length: int = 100
    """Characters of a label."""
    requests: int = 32
    """That are in work at once; one more is told to come back."""
    batch: int = 8
    """Images that are computed together."""
    wait: float = 0.005
    """How long the first image waits for others to be computed with [s]."""
    upload_seconds: float = 20.0
    """For a request to arrive."""
    answer_seconds: float = 60.0
    """For it to be computed, the wait included."""

    def __post_init__(self) -> None:
        """Check the numbers that people set."""
        for name in ("upload_bytes", "pixels", "labels", "label_length", "requests", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; give at least 1")
        for name in ("upload_seconds", "answer_seconds"):
            if getattr(self, name) <= 0:
                raise InputError(f"{name} is {getattr(self, name)}; give more than 0")

    def check_words(self, words: Sequence[str]) -> None:
        """Refuse too many labels, or too long ones.

        Raises:
            InputError: One sentence that says which.
        """
        if len(words) > self.labels:
            raise InputError(f"{len(words)} labels are asked for; at most {self.labels} are taken")
        longest = max((len(word) for word in words), default=0)
        if longest > self.label_length:
            raise InputError(
                f"a label has {longest} characters; at most {self.label_length} are taken"
            )
