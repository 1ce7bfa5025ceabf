"""The order in which an epoch visits samples: a pure function of seed, epoch and position.

Each shard is cut into blocks of consecutive samples. An epoch visits the blocks of all shards in a
drawn order, some of them together as a window, and the samples of a window in a drawn order. So
samples of the same shard meet others, yet reading stays within a few stretches of a few files, and
nothing as long as the data set is ever drawn or kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Int

BLOCK: Final = 1024
"""Consecutive samples that stay near each other."""

WINDOW: Final = 8
"""Blocks whose samples are mixed."""


class Sites(NamedTuple):
    """Where samples lie."""

    shards: Int[np.ndarray, " position"]
    """Numbers of their shards."""
    samples: Int[np.ndarray, " position"]
    """Their numbers in these shards."""


class _Epoch(NamedTuple):
    blocks: Int[np.ndarray, " block"]
    """The blocks in the order of this epoch."""
    starts: Int[np.ndarray, " start"]
    """Position at which each of them begins, and the number of samples."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """Where the sample of each position lies; each is visited once in an epoch."""

    sizes: tuple[int, ...]
    """Number of samples of each shard."""
    seed: int
    """Other seeds give other orders."""
    block: int = BLOCK
    """Consecutive samples that stay near each other."""
    window: int = WINDOW
    """Blocks whose samples are mixed."""

    def __len__(self) -> int:
        return sum(self.sizes)

    def find(self, epoch: int, positions: Sequence[int] | range) -> Sites:
        """Where the samples of these positions of an epoch lie."""
        assert all(0 <= position < len(self) for position in (min(positions), max(positions)))
        asked = np.asarray(positions, dtype=np.int64)
        blocks, starts = _epoch(self, epoch)
        windows = (np.searchsorted(starts, asked, side="right") - 1) // self.window
        mixed = np.empty_like(asked)
        for window in np.unique(windows).tolist():
            begin = starts[window * self.window]
            end = starts[min((window + 1) * self.window, len(blocks))]
            chosen = windows == window
            drawn = _mixed(self.seed, epoch, window, int(end - begin))
            mixed[chosen] = begin + drawn[asked[chosen] - begin]
        places = np.searchsorted(starts, mixed, side="right") - 1
        shards, firsts = _blocks(self)
        chosen_blocks = blocks[places]
        return Sites(shards[chosen_blocks], firsts[chosen_blocks] + mixed - starts[places])


def _generator(*keys: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(keys)))


@lru_cache(maxsize=4)
def _blocks(order: Order) -> tuple[Int[np.ndarray, " block"], Int[np.ndarray, " block"]]:
    """Shard and first sample of every block."""
    pairs = [
        (shard, first)
        for shard, size in enumerate(order.sizes)
        for first in range(0, size, order.block)
    ]
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


@lru_cache(maxsize=4)
def _epoch(order: Order, epoch: int) -> _Epoch:
    shards, firsts = _blocks(order)
    sizes = np.minimum(np.asarray(order.sizes)[shards] - firsts, order.block)
    blocks = _generator(order.seed, epoch).permutation(len(sizes))
    return _Epoch(blocks, np.concatenate([[0], np.cumsum(sizes[blocks])]))


@lru_cache(maxsize=16)
def _mixed(seed: int, epoch: int, window: int, size: int) -> Int[np.ndarray, " sample"]:
    return _generator(seed, epoch, 1 + window).permutation(size)
