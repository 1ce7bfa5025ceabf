"""Several sources of batches as one: which of them gives the batch of a step."""

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
    """Place of the batch of a step."""

    source: int
    """Index of the source."""
    number: int
    """Number of the batch in it."""


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
        for index in range(len(self._shares) - 1):
            share = self._shares[index] / sum(self._shares[index:])
            before = floor(step * share)
            if floor((step + 1) * share) > before:
                return Place(index, before)
            step -= before  # number of this step among those of the other sources
        return Place(len(self._shares) - 1, step)

    def __getitem__(self, step: int) -> Batch:
        """The batch of this rank at a step."""
        index, number = self.place(step)
        return self._sources[index][number]
