"""Random access to the samples of many shards, with a limited number of open files."""

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open

from groupvit.data.index import Shard, index_path
from groupvit.data.remote import RemoteTar, opened
from groupvit.errors import InputError

OPEN_FILES = 32
"""Shards that a process keeps open; an epoch reads 8 or 16 at a time."""

_TENSORS = ("images", "first_captions", "texts", "text_starts", "nouns", "noun_starts")


class Caption(NamedTuple):
    """A caption and its nouns."""

    text: str
    """One line, not empty."""
    nouns: tuple[str, ...]
    """In their order; a repeated noun is listed each time."""


class Reader:
    """An open shard."""

    def __init__(self, shard: Shard) -> None:
        self._index = _slices(shard)
        tar = shard.tar
        self._read = tar.opened() if isinstance(tar, RemoteTar) else opened(tar)

    def image(self, sample: int) -> bytes:
        """Encoded image of a sample; incomplete if the shard was truncated after indexing.

        Raises:
            InputError: An object store does not give it, or it was changed.
        """
        ((offset, size),) = self._index["images"][sample : sample + 1].tolist()
        return self._read(offset, size)

    def captions(self, sample: int) -> list[Caption]:
        """Captions of a sample, at least one."""
        first, last = self._index["first_captions"][sample : sample + 2].tolist()
        texts = self._strings("text", first, last)
        nouns = self._strings("noun", first, last)
        return [
            Caption(text, tuple(words.split())) for text, words in zip(texts, nouns, strict=True)
        ]

    def nouns(self) -> Iterator[list[str]]:
        """Nouns of all captions of each sample, in order, with repetitions."""
        firsts = self._index["first_captions"][:].tolist()
        starts, joined = self._index["noun_starts"][:].tolist(), b""
        if starts[-1]:
            joined = self._index["nouns"][:].tobytes()
        for first, last in pairwise(firsts):
            texts = [joined[starts[n] : starts[n + 1]] for n in range(first, last)]
            yield b" ".join(texts).decode("utf-8", "replace").split()

    def _strings(self, name: str, first: int, last: int) -> Iterator[str]:
        starts = self._index[f"{name}_starts"][first : last + 1].tolist()
        joined = b""
        if starts[0] < starts[-1]:  # safetensors refuses an empty slice at the end of a tensor
            joined = self._index[f"{name}s"][starts[0] : starts[-1]].tobytes()
        for start, end in pairwise(starts):
            yield joined[start - starts[0] : end - starts[0]].decode("utf-8", "replace")


class Shards:
    """Readers of shards by index, of which the most recently used are open.

    Can be sent to other processes; each opens its own files.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = tuple(shards)
        self._open: OrderedDict[int, Reader] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {"shards": self.shards, "_open": OrderedDict()}

    def reader(self, shard: int) -> Reader:
        """Reader of a shard; closes the least recently used one if too many are open."""
        if shard not in self._open:
            self._open[shard] = Reader(self.shards[shard])
            if len(self._open) > OPEN_FILES:
                self._open.popitem(last=False)
        self._open.move_to_end(shard)
        return self._open[shard]


def count_nouns(shards: Sequence[Shard]) -> Counter[str]:
    """Occurrences of the nouns in the captions of all shards, read from their indexes.

    About a microsecond a caption.

    Raises:
        InputError: An index cannot be read.
    """
    counts = Counter[bytes]()
    for shard in shards:
        index = _slices(shard)
        starts = index["noun_starts"][:].tolist()
        joined = index["nouns"][:].tobytes() if starts[-1] else b""
        for start, end in pairwise(starts):
            counts.update(joined[start:end].split())
    return Counter({noun.decode("utf-8", "replace"): count for noun, count in counts.items()})


def _slices(shard: Shard) -> Mapping[str, Any]:
    """Tensors of the index, whose slices are read on access."""
    if shard.tensors is not None:
        return shard.tensors
    path = index_path(shard.path)
    try:
        file: Any = safe_open(path, framework="numpy")
        return {name: file.get_slice(name) for name in _TENSORS}
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{path} cannot be read ({error}); start again, so that it is rebuilt"
        ) from error
