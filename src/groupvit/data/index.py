"""Index of a shard: positions of its images, captions and nouns, stored in `NAME.tar.index`.

An index is a safetensors file, of which readers load the slices they need:

- `images`, int64 (sample, 2): offset and size of each image in the tar file [bytes].
- `first_captions`, int64 (sample + 1): index of each sample's first caption; its last one comes
  before the first of the next sample.
- `text_starts`, `noun_starts`, int64 (caption + 1): position of each caption, and of its nouns
  joined by spaces, in `texts` and `nouns`, which are UTF-8 text in uint8.

Its metadata hold the tar file's size and time, or its state in an object store, the tagger of the
nouns, and the damage. An index that does not match its tar file is rebuilt.
"""

import json
import logging
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from groupvit import files
from groupvit.data import tar_samples
from groupvit.data.config import Nouns
from groupvit.data.remote import RemoteTar
from groupvit.data.tar_samples import FOREIGN_SUFFIX
from groupvit.errors import InputError
from groupvit.progress import OnProgress
from groupvit.text.nouns import NounFinder
from groupvit.values import parse_json

VERSION = "3"
"""Version of the layout and of the content of indexes."""

SUFFIX = ".index"
"""Added to the name of a shard for its index."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A tar file and a summary of its index."""

    tar: Path | RemoteTar
    """The tar file."""
    num_samples: int
    """Images with at least one caption."""
    num_captions: int
    """Captions of all samples."""
    damage: Mapping[str, int]
    """Number of omissions of each kind; see `tar_samples.TarSamples`."""
    tensors: Mapping[str, np.ndarray] | None
    """The index itself, if it could not be written beside the tar file."""

    @property
    def path(self) -> Path:
        """Place of the tar file, or of its copy; the index is beside it."""
        return place(self.tar)

    @property
    def num_bytes(self) -> int:
        """Size of the tar file [bytes]."""
        return self.tar.size if isinstance(self.tar, RemoteTar) else self.tar.stat().st_size


def place(tar: Path | RemoteTar) -> Path:
    """Place of a tar file, or of its copy."""
    return tar.path if isinstance(tar, RemoteTar) else tar


def index_path(path: Path) -> Path:
    """Path of the index of a tar file."""
    return path.with_name(path.name + SUFFIX)


def describe_damage(shards: Sequence[Shard]) -> str:
    """Numbers of what shards hold and is left out, such as `; left out: foreign suffix 80`."""
    total = sum((Counter(shard.damage) for shard in shards), Counter[str]())
    if not total:
        return ""
    counted = ", ".join(f"{kind} {number:,}" for kind, number in sorted(total.items()))
    hint = " (suffixes begin at the first dot of a name)" if FOREIGN_SUFFIX in total else ""
    return f"; left out: {counted}{hint}"


def prepare(
    tars: Sequence[Path | RemoteTar],
    nouns: Nouns | None,
    *,
    first: int = 0,
    on_progress: OnProgress | None = None,
) -> list[Shard]:
    """Read the index of every shard; build those that are missing or do not match.

    Args:
        tars: Tar files.
        nouns: Tagger that finds the nouns of the captions; None: any.
        first: Shard to begin with. Processes that begin at different ones share the work.
        on_progress: Called after every shard.

    Raises:
        InputError: A shard cannot be read or is no tar file, or the tagger is not installed.
    """
    shards: dict[int, Shard] = {}
    finder: NounFinder | None = None
    unwritten: str | None = None
    for done, number in enumerate([*range(first, len(tars)), *range(first)], start=1):
        shard = _read(tars[number], nouns)
        if shard is None:
            finder = finder or NounFinder(nouns or "pattern")
            logger.info("indexing %s", tars[number])
            shard, error = _make(tars[number], nouns or "pattern", finder)
            unwritten = unwritten or error
        shards[number] = shard
        if on_progress is not None:
            on_progress(done, len(tars))
    if unwritten is not None:
        logger.warning("indexes are kept in memory, as %s", unwritten)
    return [shard for _, shard in sorted(shards.items())]


def _stamp(tar: Path | RemoteTar, nouns: Nouns | None) -> dict[str, str]:
    """Metadata that an index must have to match its tar file."""
    if isinstance(tar, RemoteTar):
        state = {"size": str(tar.size), "state": tar.state}
    else:
        state = _state(tar)
    return {"version": VERSION} | state | ({"nouns": nouns} if nouns else {})


def _state(path: Path) -> dict[str, str]:
    """Size and time of a tar file on disk."""
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is no regular file; name a tar file")
    return {"size": str(status.st_size), "mtime_ns": str(status.st_mtime_ns)}


def _read(tar: Path | RemoteTar, nouns: Nouns | None) -> Shard | None:
    """The shard, if its index exists and matches."""
    try:
        with safe_open(index_path(place(tar)), framework="numpy") as file:
            metadata = file.metadata() or {}
            if not _stamp(tar, nouns).items() <= metadata.items():
                return None
            _check(file, tar_size=int(metadata["size"]))
            num_samples, _ = file.get_slice("images").get_shape()
            (starts,) = file.get_slice("text_starts").get_shape()
        damage = parse_json(metadata["damage"])
        if not all(isinstance(number, int) and number >= 0 for number in damage.values()):
            raise ValueError("damage is counted in integers")
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Shard(
        tar=tar, num_samples=num_samples, num_captions=starts - 1, damage=damage, tensors=None
    )


def _check(file: Any, *, tar_size: int) -> None:
    """Check that all positions lie in the tar file and in the texts.

    Raises:
        ValueError: One does not, or a tensor has another shape or type.
    """
    types = {"images": "I64", "first_captions": "I64", "texts": "U8", "nouns": "U8"}
    types |= {"text_starts": "I64", "noun_starts": "I64"}
    slices = {name: file.get_slice(name) for name in types}
    if any(slices[name].get_dtype() != kind for name, kind in types.items()):
        raise ValueError("a tensor has another type")
    images = file.get_tensor("images")
    if images.ndim != 2 or images.shape[1] != 2 or (images < 0).any():
        raise ValueError("positions of images are damaged")
    if (images > tar_size).any() or (images.sum(axis=1) > tar_size).any():
        raise ValueError("an image lies outside of the tar file")
    (num_texts,), (num_nouns,) = slices["texts"].get_shape(), slices["nouns"].get_shape()
    captions = _rising(file.get_tensor("text_starts"), num_texts)
    if _rising(file.get_tensor("noun_starts"), num_nouns) != captions:
        raise ValueError("captions and nouns have other numbers")
    if _rising(file.get_tensor("first_captions"), captions - 1, least=1) != len(images) + 1:
        raise ValueError("images and captions have other numbers")


def _rising(starts: np.ndarray, last: int, *, least: int = 0) -> int:
    """Length of positions that rise from 0 to `last` by at least so much."""
    if starts.ndim != 1 or not len(starts) or starts[0] != 0 or starts[-1] != last:
        raise ValueError("positions do not fit the texts")
    if (starts[1:] < starts[:-1] + least).any():
        raise ValueError("positions do not rise")
    return len(starts)


def _make(tar: Path | RemoteTar, nouns: Nouns, finder: NounFinder) -> tuple[Shard, str | None]:
    """The shard with a new index, and the reason if the index could not be written."""
    stamp = _stamp(tar, nouns)
    samples, damage = _samples(tar)
    tensors = _tensors(samples, finder)
    error = _write(index_path(place(tar)), tensors, stamp | {"damage": json.dumps(damage)})
    shard = Shard(
        tar=tar,
        num_samples=len(samples),
        num_captions=len(tensors["text_starts"]) - 1,
        damage=dict(damage),
        tensors=tensors if error else None,
    )
    return shard, error


def _samples(tar: Path | RemoteTar) -> tar_samples.TarSamples:
    """Samples of a tar file, which is copied for that if it is remote."""
    if not isinstance(tar, RemoteTar):
        return tar_samples.read(tar)
    with tar.on_disk() as path:
        try:
            return tar_samples.read(path)
        except InputError as error:
            raise InputError(str(error).replace(str(path), tar.url)) from error


def _tensors(samples: Sequence[tar_samples.Sample], finder: NounFinder) -> dict[str, np.ndarray]:
    images, first_captions = [], [0]
    captions: list[str] = []
    for sample in samples:
        images.append(sample.image)
        captions += sample.captions
        first_captions.append(len(captions))
    nouns = [" ".join(finder.find(caption)) for caption in captions]
    return {
        "images": np.array(images, dtype=np.int64).reshape(-1, 2),
        "first_captions": np.array(first_captions, dtype=np.int64),
        **_joined("text", captions),
        **_joined("noun", nouns),
    }


def _joined(name: str, texts: Sequence[str]) -> dict[str, np.ndarray]:
    """UTF-8 bytes of all texts, and the position at which each begins."""
    encoded = list(map(str.encode, texts))
    starts = [*accumulate(map(len, encoded), initial=0)]
    return {
        f"{name}s": np.frombuffer(b"".join(encoded), dtype=np.uint8),
        f"{name}_starts": np.array(starts, dtype=np.int64),
    }


def _write(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> str | None:
    """Write the index, which other processes may write too; returns the reason if that fails."""
    try:
        files.make_folder(path.parent)
        files.remove_leftovers(path.parent, path.name)  # another process may write it again
        with files.new_file(path) as beside:
            save_file(tensors, beside, metadata=metadata)
            beside.chmod(0o644)
    except SafetensorError as error:
        return f"{path} cannot be written: {error}"
    except InputError as error:
        return str(error)
    return None
