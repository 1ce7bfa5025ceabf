"""Order of the samples of several sources with weights: a pure function of seed and position."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from groupvit.data.mixture import place
from groupvit.data.order import Locations, Order

_SEEDS: Final = 2**32
"""Distance between the seeds of sources, so that sources of equal sizes have other orders."""


@dataclass(frozen=True, kw_only=True)
class WeightedOrder:
    """Location of the sample at each position, whose sources follow each other by weight.

    Each source is visited as by an `Order` of its own: all of its samples once, then again in
    another order, however often the other sources were visited meanwhile.
    """

    sizes: tuple[tuple[int, ...], ...]
    """Number of samples of each shard of each source; each source has at least one."""
    weights: tuple[float, ...]
    """Share of the positions that each source gets, in any unit."""
    seed: int
    """Seed of all permutations."""
    epoch: int
    """Number of positions of an epoch, which only counts positions here."""

    def locate(self, epoch: int, positions: Sequence[int]) -> Locations:
        """Locations of the samples at these positions of an epoch; shards are numbered through."""
        places = [place(self.weights, epoch * self.epoch + position) for position in positions]
        shards = np.empty(len(places), np.int64)
        samples = np.empty(len(places), np.int64)
        first = 0
        for source, sizes in enumerate(self.sizes):
            order = Order(sizes=sizes, seed=self.seed + _SEEDS * source)
            for turn in {one.number // len(order) for one in places if one.source == source}:
                rows = [
                    row
                    for row, one in enumerate(places)
                    if one.source == source and one.number // len(order) == turn
                ]
                inside = order.locate(turn, [places[row].number % len(order) for row in rows])
                shards[rows], samples[rows] = first + inside.shards, inside.samples
            first += len(sizes)
        return Locations(shards, samples)
