"""Order of the samples in an epoch: a pure function of seed, epoch and position.

Each shard is divided into blocks of consecutive samples. An epoch permutes the blocks of all
shards, and the samples inside each window of consecutive blocks. So samples of different shards are
mixed, yet only a few parts of a few files are read at a time, and no list of all samples exists.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Int

BLOCK: Final = 1024
"""Samples of a block, which stay near each other."""

WINDOW: Final = 8
"""Blocks of a window, whose samples are mixed."""

_CACHED: Final = 32
"""Permutations of blocks that are kept: of a few epochs, or of several sources."""


class Locations(NamedTuple):
    """Shard of each sample, and its index in the shard."""

    shards: Int[np.ndarray, " position"]
    samples: Int[np.ndarray, " position"]


class _Epoch(NamedTuple):
    blocks: Int[np.ndarray, " block"]
    """Blocks in the order of this epoch."""
    starts: Int[np.ndarray, " start"]
    """Position of the first sample of each block, and the number of all samples."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """Location of the sample at each position; an epoch contains each sample once."""

    sizes: tuple[int, ...]
    """Number of samples of each shard."""
    seed: int
    """Seed of all permutations."""
    block: int = BLOCK
    """Samples of a block, which stay near each other."""
    window: int = WINDOW
    """Blocks of a window, whose samples are mixed."""

    def __len__(self) -> int:
        return sum(self.sizes)

    def locate(self, epoch: int, positions: Sequence[int]) -> Locations:
        """Locations of the samples at these positions of an epoch."""
        assert min(positions) >= 0
        assert max(positions) < len(self)
        asked = np.asarray(positions, dtype=np.int64)
        blocks, starts = _epoch(self, epoch)
        windows = (np.searchsorted(starts, asked, side="right") - 1) // self.window
        mixed = np.empty_like(asked)
        for window in np.unique(windows).tolist():
            begin = starts[window * self.window]
            end = starts[min((window + 1) * self.window, len(blocks))]
            chosen = windows == window
            drawn = _permutation(self.seed, epoch, window, int(end - begin))
            mixed[chosen] = begin + drawn[asked[chosen] - begin]
        places = np.searchsorted(starts, mixed, side="right") - 1
        shards, firsts = _blocks(self)
        chosen_blocks = blocks[places]
        return Locations(shards[chosen_blocks], firsts[chosen_blocks] + mixed - starts[places])


def _generator(*keys: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(keys)))


@lru_cache(maxsize=_CACHED)
def _blocks(order: Order) -> tuple[Int[np.ndarray, " block"], Int[np.ndarray, " block"]]:
    """Shard and first sample of every block."""
    counts = -(-np.asarray(order.sizes, dtype=np.int64) // order.block)  # blocks of each shard
    shards = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(shards)) - np.repeat(np.cumsum(counts) - counts, counts)
    return shards, number * order.block


@lru_cache(maxsize=_CACHED)
def _epoch(order: Order, epoch: int) -> _Epoch:
    shards, firsts = _blocks(order)
    sizes = np.minimum(np.asarray(order.sizes)[shards] - firsts, order.block)
    blocks = _generator(order.seed, epoch).permutation(len(sizes))
    return _Epoch(blocks, np.concatenate([[0], np.cumsum(sizes[blocks])]))


@lru_cache(maxsize=4 * _CACHED)
def _permutation(seed: int, epoch: int, window: int, size: int) -> Int[np.ndarray, " sample"]:
    return _generator(seed, epoch, 1 + window).permutation(size)
