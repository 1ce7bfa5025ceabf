"""Samples of a tar file in the WebDataset layout: positions of images, and captions.

A sample consists of the members that share a name up to its first dot. `jpg`, `jpeg`, `png` or
`webp` is its image; `txt` holds its captions, one per line; without it, the field `caption` of
`json` is its caption, as img2dataset and RedCaps write it, or a list of them. If both are equal but
for whitespace, they are the same captions. Only headers and captions are read.
"""

import os
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from groupvit import files
from groupvit.data.caption_texts import captions_of
from groupvit.errors import InputError

IMAGES = ("jpg", "jpeg", "png", "webp")
"""Suffixes of images, in upper or lower case."""

LARGEST_IMAGE = 64 * 2**20
"""Largest image file; larger ones are left out [bytes]."""

LARGEST_TEXT = 2**20
"""Largest caption file; larger ones are left out [bytes]."""

FOREIGN_SUFFIX = "foreign suffix"
"""Kind of damage: members that are neither images nor captions by what follows their first dot."""

_END = bytes(tarfile.BLOCKSIZE)

LARGEST_HEADER = 2**18
"""Largest headers of one member [bytes]."""

# Errors of `tarfile` on broken headers: impossible numbers, headers cut off, chains of headers.
_BROKEN = (tarfile.TarError, ValueError, OverflowError, LookupError, RecursionError)


class ByteRange(NamedTuple):
    """Position of a member's content in a tar file."""

    offset: int
    size: int


class Sample(NamedTuple):
    """An image and its captions, at least one."""

    image: ByteRange
    captions: tuple[str, ...]


class _Headers:
    """File of which `tarfile` can read only so much for the headers of one member.

    Headers can declare a size of 2^40, or sparse parts that it reads on behind the end of the file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.left = LARGEST_HEADER
        self.tell, self.seek = file.tell, file.seek

    def read(self, size: int) -> bytes:
        """Read what `tarfile` needs of a header.

        Raises:
            ReadError: The headers of this member are too large.
        """
        self.left -= max(size, 1)
        if self.left < 0:
            raise tarfile.ReadError(f"headers above {LARGEST_HEADER} bytes")
        return self._file.read(size)


class TarSamples(NamedTuple):
    """Samples of a tar file, and what was left out."""

    samples: list[Sample]
    damage: Counter[str]
    """Number of omissions of each kind: truncated (the file ends early), no plain file, too large,
    foreign suffix, duplicate key, no image, no caption; and of texts that are not UTF-8, whose
    unreadable bytes are replaced by U+FFFD."""


def read(path: Path) -> TarSamples:
    """Find the samples of a tar file; of a truncated one, those that are complete.

    Raises:
        InputError: The file cannot be read or is no uncompressed tar file.
    """
    damage: Counter[str] = Counter()
    members: dict[str, dict[str, ByteRange]] = {}
    samples = []
    try:
        files.check_readable(path)
        with path.open("rb") as file:
            for member in _members(file, path, damage):
                _add(member, members, damage)
            for found in members.values():
                captions = _captions(file, found, damage)
                if "image" not in found or found["image"].size == 0:
                    damage["no image"] += 1
                elif captions:
                    samples.append(Sample(found["image"], captions))
                else:
                    damage["no caption"] += 1
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    return TarSamples(samples, damage)


class TarImages(NamedTuple):
    """Images of a tar file by the keys of their samples, and what was left out."""

    images: dict[str, ByteRange]
    damage: Counter[str]
    """Number of omissions of each kind, as in `TarSamples`."""


def images(path: Path) -> TarImages:
    """Find the images of a tar file, with captions or without.

    Raises:
        InputError: The file cannot be read or is no uncompressed tar file.
    """
    damage: Counter[str] = Counter()
    members: dict[str, dict[str, ByteRange]] = {}
    try:
        files.check_readable(path)
        with path.open("rb") as file:
            for member in _members(file, path, damage):
                _add(member, members, damage)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    found = {key: parts["image"] for key, parts in members.items() if "image" in parts}
    del damage["foreign suffix"]  # no image was lost
    return TarImages(found, damage)


def _members(file: BinaryIO, path: Path, damage: Counter[str]) -> Iterator[tarfile.TarInfo]:
    """Members that are complete."""
    size = os.fstat(file.fileno()).st_size
    if size == 0:
        damage["truncated"] += 1
        return
    try:
        headers = _Headers(file)
        with tarfile.open(fileobj=cast(BinaryIO, headers), mode="r:") as tar:
            try:
                for member in tar:
                    headers.left = LARGEST_HEADER
                    if member.size < 0:  # the next member would lie before it, in an endless loop
                        raise tarfile.ReadError
                    if member.offset_data + member.size <= size:
                        yield member
            except _BROKEN:
                damage["truncated"] += 1
                return
            # `tarfile` takes a broken header in the middle for the end, which is a block of zeros.
            file.seek(tar.offset)
            if file.read(len(_END)) != _END:
                damage["truncated"] += 1
    except _BROKEN as error:
        raise InputError(
            f"{path} is no tar file, or a compressed one; give a plain .tar"
        ) from error


def _add(
    member: tarfile.TarInfo, members: dict[str, dict[str, ByteRange]], damage: Counter[str]
) -> None:
    """Add an image or a caption file to the members of its sample."""
    if member.isdir():
        return
    if not member.isreg() or member.issparse():
        damage["no plain file"] += 1
        return
    folder, slash, name = member.name.rpartition("/")
    stem, _, suffix = name.partition(".")
    kind = "image" if suffix.lower() in IMAGES else suffix.lower()
    found = members.get(folder + slash + stem, {})
    if not stem or kind not in ("image", "txt", "json"):
        damage[FOREIGN_SUFFIX] += 1
    elif member.size > (LARGEST_IMAGE if kind == "image" else LARGEST_TEXT):
        damage["too large"] += 1
    elif kind in found:
        damage["duplicate key"] += 1
    else:
        found[kind] = ByteRange(member.offset_data, member.size)
        members[folder + slash + stem] = found


def _captions(
    file: BinaryIO, members: dict[str, ByteRange], damage: Counter[str]
) -> tuple[str, ...]:
    """Captions of a sample without surplus whitespace; none if it has no text."""
    texts = []
    for kind in ("txt", "json"):
        content = None
        if kind in members:
            content = os.pread(file.fileno(), members[kind].size, members[kind].offset)
        texts.append(_decoded(content, damage))
    return captions_of(*texts)


def _decoded(content: bytes | None, damage: Counter[str]) -> str | None:
    """Text of a member; what is not UTF-8 in it is replaced, and the member counted."""
    if content is None:
        return None
    try:
        return files.decode(content)
    except UnicodeDecodeError:
        damage["text not UTF-8"] += 1
        return content.decode("utf-8-sig", "replace")
