"""Background settings: which pixels of a segmentation belong to no label."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Literal

from groupvit.errors import InputError
from groupvit.text.prompts import list_of_texts

Certainty = Literal["score", "similarity", "margin"]
"""Quantity that thresholds apply to: the score of the best label, the cosine of its embedding, or
that cosine minus the one of the learned background."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """Conditions for background pixels; they can be combined."""

    threshold: float | None = None
    """Pixels below it are background. For most models it is a score in [0, 1]; protocols that keep
    the most certain group of a window (`ours` does), as the original does, lower it to that group's
    score. For models with centered embeddings it is the cosine between a pixel's part and the
    nearest label, in [-1, 1]; for models with a learned background, such as `storybook`, that
    cosine minus the learned one of the part."""
    words: tuple[str, ...] = ()
    """Words such as `sky` or `wall` that compete with the labels; their pixels are background."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Separate thresholds of some labels."""
    certainty: Certainty | None = None
    """Quantity that the thresholds were calibrated for; None: the model's own."""

    def __post_init__(self) -> None:
        """Refuse settings without a condition, and thresholds outside the range of cosines."""
        words = tuple(list_of_texts(self.words, name="background words"))
        object.__setattr__(self, "words", words)
        if not isinstance(self.thresholds, Mapping):
            raise InputError(
                f"background thresholds are {self.thresholds!r}; "
                "give a dict, such as {'dog': 0.5}"
            )
        if self.threshold is None and not self.words and not self.thresholds:
            raise InputError("this background is empty; give a threshold, words or thresholds")
        named = {f"threshold of {name!r}": value for name, value in self.thresholds.items()}
        for name, value in {"threshold": self.threshold, **named}.items():
            if value is not None and not (_is_number(value) and -1 <= value <= 1):
                raise InputError(f"the background {name} is {value!r}; give a number from -1 to 1")

    def among(self, names: Collection[str]) -> "Background":
        """A copy with the separate thresholds of these labels only."""
        kept = {name: value for name, value in self.thresholds.items() if name in names}
        return replace(self, thresholds=kept)


def as_background(given: object) -> Background | None:
    """Background settings of what a user gives: a threshold stands for one without words.

    Raises:
        InputError: It is neither settings nor a number from -1 to 1 nor None.
    """
    if given is None or isinstance(given, Background):
        return given
    if _is_number(given):
        return Background(threshold=float(given))  # type: ignore[arg-type]
    raise InputError(
        f"background is {given!r}; give a threshold, such as 0.2, 'auto', or Background(...)"
    )


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
