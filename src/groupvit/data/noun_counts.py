"""Counts of the nouns of all captions: share of images that name a noun, and plurals of nouns."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from groupvit.data.index import Shard
from groupvit.data.shards import Reader, count_nouns
from groupvit.text.nouns import singular, singulars

LEAST = 2
"""Occurrences of a singular as a noun, from which on its plural is taken for it."""


@dataclass(frozen=True, slots=True)
class NounCounts:
    """Nouns of all captions of some shards."""

    num_images: int
    """Images of the shards."""
    images: Mapping[str, int]
    """Number of images whose captions name a noun, by its key: see `key`."""
    singulars: Mapping[str, str] | None
    """Singular of each plural that is taken for it; None: plurals are not merged."""

    def word(self, noun: str) -> str:
        """Word of a noun in a prompt: the singular of a merged plural, or the noun itself."""
        return noun if self.singulars is None else self.singulars.get(noun, noun)

    def key(self, noun: str) -> str:
        """Text that identifies a noun: its word, or its singular if plurals are not merged."""
        return singular(noun) if self.singulars is None else self.word(noun)

    def log_prior(self, key: str) -> float:
        """Logarithm of the share of images that name a noun; of one image where none does."""
        return math.log(self.images.get(key, 1) / self.num_images)


def count(shards: Sequence[Shard], *, merge_plurals: bool) -> NounCounts:
    """Count the nouns of some shards.

    Args:
        shards: Shards with their indexes, which hold at least one image.
        merge_plurals: Take a plural for its singular, if the singular itself occurs at least twice:
            "dogs" for "dog", but "grass" stays, as "gras" does not occur.

    Raises:
        InputError: A shard cannot be read, or TextBlob is not installed.
    """
    merged = None
    if merge_plurals:
        merged = singulars(count_nouns(shards), least=LEAST, with_ss=True)
    named: Counter[str] = Counter()
    names = NounCounts(0, {}, merged)
    for nouns in _samples(shards):
        named.update(set(map(names.key, nouns)))
    return NounCounts(sum(shard.num_samples for shard in shards), dict(named), merged)


def _samples(shards: Sequence[Shard]) -> Iterator[list[str]]:
    for shard in shards:
        if shard.num_samples:
            yield from Reader(shard).nouns()
