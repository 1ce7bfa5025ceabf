"""Fingerprints of data, by which data that were replaced under the same path are noticed."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from groupvit.errors import InputError

BLOCKS, BLOCK = 8, 2**16
"""Number and size of the parts of a file that are read, spread evenly [bytes]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Size, time and sampled content of a file, or of the files of a folder."""

    size: int
    """Size [bytes]."""
    mtime_ns: int
    """Time of the last modification [ns]."""
    digest: str
    """Hash of evenly spread parts of the content."""


def fingerprint(path: Path) -> Fingerprint:
    """Fingerprint of a file, of which half a megabyte is read.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            last, content = max(0, status.st_size - BLOCK), blake2b(digest_size=16)
            for start in dict.fromkeys(last * block // (BLOCKS - 1) for block in range(BLOCKS)):
                file.seek(start)
                content.update(file.read(BLOCK))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return Fingerprint(size=status.st_size, mtime_ns=status.st_mtime_ns, digest=content.hexdigest())


def of_folder(files: Sequence[Path], text: str) -> Fingerprint:
    """Fingerprint of a folder by the names and sizes of its files, none of which is read.

    Args:
        files: Files in an order that depends on their names alone.
        text: Further content, such as names of classes.

    Raises:
        InputError: A file is missing.
    """
    content, total = blake2b(text.encode(), digest_size=16), 0
    for path in files:
        try:
            size = path.stat().st_size
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
        content.update(f"{path.name}\0{size}\0".encode())
        total += size
    return Fingerprint(size=total, mtime_ns=0, digest=content.hexdigest())


def unchanged(path: Path, before: Fingerprint) -> bool:
    """True if the file is as it was, or a copy; it is read only if its time differs.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if (status.st_size, status.st_mtime_ns) == (before.size, before.mtime_ns):
        return True
    return status.st_size == before.size and fingerprint(path).digest == before.digest
