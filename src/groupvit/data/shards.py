"""Reading single samples of many shards, with few files open at a time."""

import os
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open

from groupvit.data.index import Shard
from groupvit.errors import InputError

OPEN_FILES = 32
"""Shards that a process keeps open; an epoch's order goes through 8 or 16 at a time."""

_TENSORS = ("images", "first_captions", "texts", "text_starts", "nouns", "noun_starts")


class Caption(NamedTuple):
    """A caption and its nouns."""

    text: str
    """One line, not empty."""
    nouns: tuple[str, ...]
    """In their order; a word that stands twice is there twice."""


class Reader:
    """An open shard."""

    def __init__(self, shard: Shard) -> None:
        self._index = _slices(shard)
        try:
            self._file = os.open(shard.path, os.O_RDONLY)
        except OSError as error:
            raise InputError(f"{shard.path} cannot be read: {error.strerror}") from error
        weakref.finalize(self, os.close, self._file)

    def image(self, sample: int) -> bytes:
        """The file of a sample's image; fewer bytes than it should have if the shard was cut."""
        (offset, size), *_ = self._index["images"][sample : sample + 1].tolist()
        return os.pread(self._file, size, offset)

    def captions(self, sample: int) -> list[Caption]:
        """Captions of a sample, at least one."""
        first, last = self._index["first_captions"][sample : sample + 2].tolist()
        texts = self._strings("texts", "text_starts", first, last)
        nouns = self._strings("nouns", "noun_starts", first, last)
        return [
            Caption(text, tuple(words.split())) for text, words in zip(texts, nouns, strict=True)
        ]

    def _strings(self, blob: str, starts: str, first: int, last: int) -> list[str]:
        places = self._index[starts][first : last + 1].tolist()
        joined = self._index[blob][places[0] : places[-1]].tobytes()
        cuts = [place - places[0] for place in places]
        return [joined[start:end].decode("utf-8", "replace") for start, end in pairwise(cuts)]


class Shards:
    """Samples by the number of their shard and their number in it.

    May go to other processes; each opens files of its own.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = tuple(shards)
        self._open: OrderedDict[int, Reader] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {"shards": self.shards, "_open": OrderedDict()}

    def reader(self, shard: int) -> Reader:
        """An open shard; the one that was not asked for the longest is closed."""
        if shard not in self._open:
            self._open[shard] = Reader(self.shards[shard])
            if len(self._open) > OPEN_FILES:
                self._open.popitem(last=False)
        self._open.move_to_end(shard)
        return self._open[shard]


def _slices(shard: Shard) -> Mapping[str, Any]:
    """The tensors of the index, of which slices are read when they are taken."""
    if shard.tensors is not None:
        return shard.tensors
    path = shard.index_path
    try:
        file: Any = safe_open(path, framework="numpy")
        return {name: file.get_slice(name) for name in _TENSORS}
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{path} cannot be read ({error}); start again, so that it is made anew"
        ) from error
