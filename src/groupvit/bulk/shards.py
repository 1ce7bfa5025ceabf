"""Shards of images to segment: tar files, Parquet tables, and folders cut by name."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from groupvit import image_files, storage
from groupvit.data.patterns import expand_braces
from groupvit.errors import InputError

SUFFIXES = (".tar", ".parquet")
MOST_NAMES = 1_000_000
"""Largest number of names that the braces of a source may stand for."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Images that one process segments at a time, and that have one result."""

    name: str
    """Name of the result, without suffix."""
    paths: tuple[str, ...]
    """Address of the tar file or table; of a folder, that of each image."""
    keys: tuple[str, ...]
    """Names of the images of a folder; empty for a tar file or table."""
    state: str
    """ETag of the shard, or its size and time; of a folder, a digest of those of its images."""


class Found(NamedTuple):
    """Shards of all sources, and what was left out."""

    shards: list[Shard]
    missing: list[str]
    """Addresses in the braces of a source where nothing is."""
    skipped: str
    """Number and names of the files in folders that are no images, or empty."""


class _Image(NamedTuple):
    """Image of a folder."""

    key: str
    path: str
    state: str


def find(sources: Sequence[str], *, shard_size: int, out: str | None = None) -> Found:
    """Find the shards that sources stand for.

    Args:
        sources: Folders, images, tar files and Parquet tables, by path, URL, pattern ("a/*.tar") or
            braces ("a/{000..999}.tar"), of which some may be missing.
        shard_size: Number of images that a folder is cut into.
        out: Address of the results, if there are any; files in it are no images.

    Raises:
        InputError: A source has nothing, or two shards have the same name.
    """
    if shard_size < 1:
        raise InputError(f"--shard-size is {shard_size}; give at least 1")
    shards: list[Shard] = []
    missing: list[str] = []
    folders: dict[str, list[str]] = {}
    for source in sources:
        for name in _names(source, missing):
            if name.endswith(SUFFIXES):
                shards += _files(name)
            else:
                folders.setdefault(_series(name), []).append(name)
    skipped = []
    for series, some in folders.items():
        images, left_out = _images(some, out)
        skipped += [left_out] if left_out else []
        for number in range(0, len(images), shard_size):
            shards.append(
                _cut(f"{series}-{number // shard_size:06}", images[number : number + shard_size])
            )
    return Found(_named(shards), missing, "; ".join(skipped))


def _names(source: str, missing: list[str]) -> list[str]:
    """Names that a source stands for by its braces, without those where nothing is.

    Raises:
        InputError: There are too many of them, or nothing is at any.
    """
    names = list(islice(expand_braces(source), MOST_NAMES + 1))
    if len(names) > MOST_NAMES:
        raise InputError(f"{source} stands for more than {MOST_NAMES:,} names; give fewer")
    if len(names) == 1:
        return names
    there = {name: storage.exists(name) for name in names}
    missing += [name for name in names if not there[name]]
    if not any(there.values()):
        raise InputError(f"there is nothing at {source}; check the numbers in its braces")
    return [name for name in names if there[name]]


def _files(name: str) -> list[Shard]:
    found = storage.find(name)
    if not found:
        raise InputError(f"there is nothing at {name}; check the address")
    return [Shard(PurePosixPath(url).stem, (url,), (), state) for url, state in found.items()]


def _series(name: str) -> str:
    """Prefix of the names of the shards that a folder or pattern is cut into."""
    fs, path = storage.locate(name)
    if storage.has_magic(path):
        parts = PurePosixPath(path).parts
        return next(one for one, below in pairwise(parts) if storage.has_magic(below))
    with storage.refusals(name):
        return PurePosixPath(path).name if fs.isdir(path) else "images"


def _images(names: Sequence[str], out: str | None) -> tuple[list[_Image], str]:
    """Images of folders, patterns and files, by name, and a line about what was skipped."""
    if not storage.is_local(names[0]):
        images = [image for name in names for image in _remote_images(name)]
        return sorted(images), ""
    outputs = Path(storage.locate(out)[1]) if out and storage.is_local(out) else None
    found = image_files.search(names, outputs=outputs)
    images = []
    for image in found.images:
        status = image.path.stat()
        state = f"{status.st_size}-{status.st_mtime}"
        images.append(_Image(image.name.as_posix(), str(image.path.absolute()), state))
    return sorted(images), found.describe_skipped()


def _remote_images(name: str) -> Iterator[_Image]:
    root = storage.locate(name)[1].rstrip("/")
    found = storage.find(name, below=True)
    images = {url: one for url, one in found.items() if url.lower().endswith(image_files.SUFFIXES)}
    if not images:
        raise InputError(f"no JPEG, PNG or WebP images at {name}; choose another folder")
    for url, state in images.items():
        yield _Image(storage.locate(url)[1].removeprefix(f"{root}/"), url, state)


def _cut(name: str, images: Sequence[_Image]) -> Shard:
    digest = hashlib.sha256(repr([tuple(image) for image in images]).encode("utf-8", "replace"))
    paths, keys = (tuple(image.path for image in images), tuple(image.key for image in images))
    return Shard(name, paths, keys, f"{len(images)} images {digest.hexdigest()[:16]}")


def _named(shards: Sequence[Shard]) -> list[Shard]:
    """Shards, each once, sorted by name.

    Raises:
        InputError: Two have the same name.
    """
    named: dict[str, Shard] = {}
    for shard in shards:
        other: Any = named.setdefault(shard.name, shard)
        if other != shard:
            raise InputError(
                f"{other.paths[0]} and {shard.paths[0]} would both give the result {shard.name}; "
                "segment them into two folders"
            )
    return [named[name] for name in sorted(named)]
