"""Several sources as one: which of them gives the batch of a step, or the sample of a position."""

from collections.abc import Sequence
from math import floor
from typing import NamedTuple, Protocol, runtime_checkable

from groupvit.data.batch import Batch


@runtime_checkable
class Source(Protocol):
    """Batches of one rank by number, from 0, each a pure function of its number."""

    def __getitem__(self, number: int) -> Batch:
        """The batch of this rank with this number."""
        ...


class Place(NamedTuple):
    """Place of the batch of a step, or of the sample of a position."""

    source: int
    """Index of the source."""
    number: int
    """Number of the batch or sample in it."""


def place(shares: Sequence[float], step: int) -> Place:
    """Source of a step: sources are spread evenly over the steps, and none skips any of its own.

    Args:
        shares: Share of the steps that each source gets, in any unit; at least one.
        step: Step or position from 0.
    """
    for index in range(len(shares) - 1):
        share = shares[index] / sum(shares[index:])
        before = floor(step * share)
        if floor((step + 1) * share) > before:
            return Place(index, before)
        step -= before  # number of this step among those of the other sources
    return Place(len(shares) - 1, step)


class Mixture:
    """Batches of several sources, spread evenly over the steps; no source skips any of its own.

    Args:
        sources: At least one source.
        shares: Share of the steps that each source gets, in any unit.
    """

    def __init__(self, sources: Sequence[Source], shares: Sequence[float]) -> None:
        assert len(sources) == len(shares) > 0
        self._sources, self._shares = tuple(sources), tuple(shares)

    def place(self, step: int) -> Place:
        """Source of a step, the same on all ranks and whatever step the run resumed from."""
        return place(self._shares, step)

    def __getitem__(self, step: int) -> Batch:
        """The batch of this rank at a step."""
        index, number = self.place(step)
        return self._sources[index][number]
