"""What lies where in a shard, found once and kept beside it: `NAME.tar.index`.

An index is a safetensors file, of which readers take the slices they need:

- `images`, int64 (sample, 2): offset and size of each image in the tar file [bytes].
- `first_captions`, int64 (sample + 1): number of each sample's first caption; its last is followed
  by the first of the next sample.
- `text_starts`, `noun_starts`, int64 (caption + 1): where each caption, and its nouns with spaces
  between, begin in `texts` and `nouns`, which are UTF-8 text in uint8.

Its metadata say which tar file it belongs to (size and time), who found the nouns, and what was
damaged. An index that does not fit its tar file is made anew.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from groupvit import files
from groupvit.data import tar_samples
from groupvit.data.config import Nouns
from groupvit.errors import InputError
from groupvit.text.nouns import NounFinder

VERSION = "1"
"""Changes with the layout of indexes, and with what is found in shards."""

SUFFIX = ".index"
"""What the name of a shard's index ends in."""

Progress = Callable[[int, int], object]
"""Called with how many shards are done, and how many there are."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A tar file, and what its index says in short."""

    path: Path
    """The tar file."""
    num_samples: int
    """Images with at least one caption."""
    num_captions: int
    """Captions of all samples."""
    damage: Mapping[str, int]
    """How often something was left out, by kind; see `tar_samples.Contents`."""
    tensors: Mapping[str, np.ndarray] | None
    """The index itself if it could not be written beside the tar file."""

    @property
    def index_path(self) -> Path:
        """Where the index lies if it could be written."""
        return index_path(self.path)


def index_path(path: Path) -> Path:
    """Where the index of a tar file lies."""
    return path.with_name(path.name + SUFFIX)


def prepare(
    paths: Sequence[Path],
    nouns: Nouns | None,
    *,
    first: int = 0,
    progress: Progress | None = None,
) -> list[Shard]:
    """Read the index of every shard; make those that are missing or do not fit.

    Args:
        paths: Tar files.
        nouns: Who finds the nouns of the captions; None: it does not matter.
        first: The shard to begin with. Processes that begin at different ones share the work.
        progress: Is told of every shard.

    Raises:
        InputError: A shard cannot be read or is no tar file, or the tagger is not installed.
    """
    shards: dict[int, Shard] = {}
    finder: NounFinder | None = None
    unwritten: str | None = None
    for done, number in enumerate([*range(first, len(paths)), *range(first)], start=1):
        shard = _read(paths[number], nouns)
        if shard is None:
            finder = finder or NounFinder(nouns or "pattern")
            logger.info("indexing %s", paths[number])
            shard, error = _make(paths[number], nouns or "pattern", finder)
            unwritten = unwritten or error
        shards[number] = shard
        if progress is not None:
            progress(done, len(paths))
    if unwritten is not None:
        logger.warning("indexes are kept in memory, as %s", unwritten)
    return [shards[number] for number in range(len(paths))]


def _stamp(path: Path, nouns: Nouns | None) -> dict[str, str]:
    """What an index must say of its tar file to be used."""
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    stamp = {
        "version": VERSION,
        "size": str(status.st_size),
        "mtime_ns": str(status.st_mtime_ns),
    }
    return stamp | ({"nouns": nouns} if nouns else {})


def _read(path: Path, nouns: Nouns | None) -> Shard | None:
    """The shard if its index is there and fits."""
    try:
        with safe_open(index_path(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            if not _stamp(path, nouns).items() <= metadata.items():
                return None
            num_samples, _ = file.get_slice("images").get_shape()
            (starts,) = file.get_slice("text_starts").get_shape()
        damage = json.loads(metadata["damage"])
    except (OSError, SafetensorError, ValueError, KeyError):
        return None
    return Shard(
        path=path, num_samples=num_samples, num_captions=starts - 1, damage=damage, tensors=None
    )


def _make(path: Path, nouns: Nouns, finder: NounFinder) -> tuple[Shard, str | None]:
    """The shard, and why its index could not be written if so."""
    stamp = _stamp(path, nouns)
    contents = tar_samples.read(path)
    tensors = _tensors(contents.samples, finder)
    error = _write(index_path(path), tensors, stamp | {"damage": json.dumps(contents.damage)})
    shard = Shard(
        path=path,
        num_samples=len(contents.samples),
        num_captions=sum(len(sample.captions) for sample in contents.samples),
        damage=dict(contents.damage),
        tensors=tensors if error else None,
    )
    return shard, error


def _tensors(samples: Sequence[tar_samples.Sample], finder: NounFinder) -> dict[str, np.ndarray]:
    captions = [caption for sample in samples for caption in sample.captions]
    texts, text_starts = _joined(captions)
    nouns, noun_starts = _joined([" ".join(finder.find(caption)) for caption in captions])
    counts = (len(sample.captions) for sample in samples)
    return {
        "images": np.array([s.image for s in samples], dtype=np.int64).reshape(-1, 2),
        "first_captions": np.array([*accumulate(counts, initial=0)], dtype=np.int64),
        "texts": texts,
        "text_starts": text_starts,
        "nouns": nouns,
        "noun_starts": noun_starts,
    }


def _joined(parts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    encoded = [part.encode() for part in parts]
    starts = np.array([*accumulate(map(len, encoded), initial=0)], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), starts


def _write(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> str | None:
    """Write the index, as other processes may do too; returns why that was not possible."""
    try:
        with files.new_file(path) as beside:
            save_file(tensors, beside, metadata=metadata)
            beside.chmod(0o644)
    except SafetensorError as error:
        return f"{path} cannot be written: {error}"
    except InputError as error:
        return str(error)
    return None
