"""Background: what none of the asked-for words should claim."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from groupvit.errors import InputError

Certainty = Literal["score", "similarity", "margin"]
"""What tells pixels that belong to no label: that no label wins by far; that none is near; or that
none is nearer than the background which the model has learned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """Which pixels belong to no label; the ways can be combined."""

    threshold: float | None = None
    """What lies below it is background. For most models it is a score in [0, 1]; by protocols that
    spare it (`ours` does) the most certain group of a window stays, as in the original: the
    threshold is lowered to its score. For models with centered embeddings it is the cosine between
    a pixel's part and the nearest label, in [-1, 1]; for those that have learned a background, such
    as the bundled one, that cosine minus the one which they ask for at that part."""
    words: tuple[str, ...] = ()
    """Words such as `sky` or `wall` that compete with the labels and become background."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """For some labels a threshold of their own."""
    certainty: Certainty | None = None
    """What the thresholds were made for; None: whatever the model goes by."""

    def __post_init__(self) -> None:
        """Check that something is asked for, within the range of cosines."""
        if self.threshold is None and not self.words and not self.thresholds:
            raise InputError("this background is empty; give a threshold, words or thresholds")
        named = {f"threshold of {name!r}": value for name, value in self.thresholds.items()}
        for name, value in {"threshold": self.threshold, **named}.items():
            if value is not None and not -1 <= value <= 1:
                raise InputError(f"the background {name} is {value}; give a number from -1 to 1")

    def among(self, names: Collection[str]) -> "Background":
        """The same without the thresholds of labels that are not asked for."""
        kept = {name: value for name, value in self.thresholds.items() if name in names}
        return replace(self, thresholds=kept)
