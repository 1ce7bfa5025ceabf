"""Background: what none of the asked-for words should claim."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from groupvit.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """Which pixels belong to no label; the ways can be combined."""

    threshold: float | None = None
    """Groups whose best score is below it are background, in [0, 1]. The most certain group of a
    window always stays, as in the original: the threshold is lowered to its score."""
    words: tuple[str, ...] = ()
    """Words such as `sky` or `wall` that compete with the labels and become background."""
    thresholds: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """For some labels, the score below which they give way to background, in [0, 1]."""

    def __post_init__(self) -> None:
        """Check that something is asked for, within its range."""
        if self.threshold is None and not self.words and not self.thresholds:
            raise InputError("this background is empty; give a threshold, words or thresholds")
        named = {f"threshold of {name!r}": value for name, value in self.thresholds.items()}
        for name, value in {"threshold": self.threshold, **named}.items():
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"the background {name} is {value}; give a number from 0 to 1")
