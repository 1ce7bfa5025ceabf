"""Samples of a tar file in the WebDataset layout: where images lie, and what captions say.

A sample is made of the members that share a name up to its first dot. `jpg`, `jpeg`, `png` or
`webp` is its image; `txt` holds its captions, one per line; without it, the field `caption` of
`json` is its caption, as img2dataset and RedCaps write it. Only headers and captions are read.
"""

import json
import os
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from groupvit.errors import InputError

IMAGES = ("jpg", "jpeg", "png", "webp")
"""Suffixes of images, in upper or lower case."""

LARGEST_IMAGE = 64 * 2**20
"""A larger image is left out [bytes]."""

LARGEST_TEXT = 2**20
"""Captions that take more are left out [bytes]."""

_END = bytes(tarfile.BLOCKSIZE)

# What `tarfile` raises on broken headers, the last two for numbers that make no sense.
_BROKEN = (tarfile.TarError, ValueError, OverflowError)


class Place(NamedTuple):
    """Where a member's bytes lie in a tar file."""

    offset: int
    size: int


class Sample(NamedTuple):
    """An image and its captions, at least one."""

    image: Place
    captions: tuple[str, ...]


class Contents(NamedTuple):
    """What a tar file holds."""

    samples: list[Sample]
    damage: Counter[str]
    """How often something was left out, by kind: truncated (the file ends early), no plain file,
    too large, foreign suffix, duplicate key, no image, no caption."""


@dataclass(slots=True)
class _Parts:
    """Members of one sample."""

    image: Place | None = None
    texts: dict[str, Place] = field(default_factory=dict)


def read(path: Path) -> Contents:
    """Find the samples of a tar file. Of one that ends early, what is whole counts.

    Raises:
        InputError: The file cannot be read or is no uncompressed tar file.
    """
    damage: Counter[str] = Counter()
    try:
        with path.open("rb") as file:
            parts = _collect(file, path, damage)
            samples = list(_complete(file, parts, damage))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    return Contents(samples, damage)


def _collect(file: BinaryIO, path: Path, damage: Counter[str]) -> dict[str, _Parts]:
    size = os.fstat(file.fileno()).st_size
    found: dict[str, _Parts] = {}
    for member in _members(file, path, size, damage):
        if member.isdir():
            continue
        if not member.isreg() or member.issparse():
            damage["no plain file"] += 1
            continue
        key, _, suffix = _split(member.name)
        kind = suffix.lower()
        if not key or kind not in (*IMAGES, "txt", "json"):
            damage["foreign suffix"] += 1
        elif member.size > (LARGEST_IMAGE if kind in IMAGES else LARGEST_TEXT):
            damage["too large"] += 1
        else:
            place = Place(member.offset_data, member.size)
            _add(found.setdefault(key, _Parts()), kind, place, damage)
    return found


def _members(
    file: BinaryIO, path: Path, size: int, damage: Counter[str]
) -> Iterator[tarfile.TarInfo]:
    """The members that are there as a whole."""
    if size == 0:
        damage["truncated"] += 1
        return
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            try:
                for member in tar:
                    if member.size < 0:  # the next one would lie before it, and so on for ever
                        raise tarfile.ReadError
                    if member.offset_data + member.size <= size:
                        yield member
            except _BROKEN:
                damage["truncated"] += 1
                return
            # A broken header in the middle looks to `tarfile` like the end, which is a block of 0.
            file.seek(tar.offset)
            if file.read(len(_END)) != _END:
                damage["truncated"] += 1
    except _BROKEN as error:
        raise InputError(
            f"{path} is no tar file, or a compressed one; give a plain .tar"
        ) from error


def _split(name: str) -> tuple[str, str, str]:
    folder, slash, last = name.rpartition("/")
    stem, dot, suffix = last.partition(".")
    return (folder + slash + stem if stem else ""), dot, suffix


def _add(parts: _Parts, kind: str, place: Place, damage: Counter[str]) -> None:
    if kind not in IMAGES:
        if parts.texts.setdefault(kind, place) is not place:
            damage["duplicate key"] += 1
    elif parts.image is None:
        parts.image = place
    else:
        damage["duplicate key"] += 1


def _complete(file: BinaryIO, found: dict[str, _Parts], damage: Counter[str]) -> Iterator[Sample]:
    for parts in found.values():
        if parts.image is None or parts.image.size == 0:
            damage["no image"] += 1
            continue
        captions = _captions(file, parts.texts)
        if captions:
            yield Sample(parts.image, captions)
        else:
            damage["no caption"] += 1


def _captions(file: BinaryIO, texts: dict[str, Place]) -> tuple[str, ...]:
    if "txt" in texts:
        lines = _text(file, texts["txt"]).split("\n")
    elif "json" in texts:
        lines = [_caption_of(_text(file, texts["json"]))]
    else:
        return ()
    # Whitespace means nothing to the tokenizer, and a character 0 nothing to anyone.
    cleaned = (" ".join(line.replace("\0", " ").split()) for line in lines)
    return tuple(line for line in cleaned if line)


def _text(file: BinaryIO, place: Place) -> str:
    return os.pread(file.fileno(), place.size, place.offset).decode("utf-8-sig", "replace")


def _caption_of(text: str) -> str:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    caption = values.get("caption") if isinstance(values, dict) else None
    # JSON may spell half characters, which no file can hold.
    return caption.encode("utf-8", "replace").decode() if isinstance(caption, str) else ""
