"""Tar shards in object stores: ranges of them are read, or copies of whole shards on this disk.

What an object holds is known by its ETag, or its size and time. Its index is kept on this disk by
the address and that state, so that an object that was changed gets another index.
"""

import os
import shutil
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from groupvit import cache, files, storage
from groupvit.data.fingerprint import Fingerprint, fingerprint, unchanged
from groupvit.errors import InputError

try:
    import fcntl
except ImportError:  # Windows: each process makes the copy
    fcntl = None  # type: ignore[assignment]

Read = Callable[[int, int], bytes]
"""Bytes of a tar file by offset and size; fewer at its end."""

FOLDER = "shards"
"""Name of the folder of indexes in the cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTar:
    """A tar file in an object store."""

    url: str
    """Address."""
    state: str
    """ETag, or size and time."""
    size: int
    """Size [bytes]."""
    path: Path
    """Place of its copy on this disk; its index is beside it."""
    is_copied: bool
    """Copy it before it is read."""

    def __str__(self) -> str:
        return self.url

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """Path of a copy, which is temporary unless copies are kept.

        Raises:
            InputError: It cannot be read, or was changed.
        """
        if self.is_copied:
            yield self._copy()
            return
        with storage.on_disk(self.url, self.state) as path:
            yield path

    def opened(self) -> Read:
        """Reading of its copy, or of its ranges.

        Raises:
            InputError: It cannot be read, or was changed.
        """
        return opened(self._copy()) if self.is_copied else storage.Ranges(self.url, self.state).read

    def _copy(self) -> Path:
        """The copy, which one process of this machine makes while the others wait."""
        if self.path.exists():
            return self.path
        files.make_folder(self.path.parent)
        with (self.path.parent / "lock").open("w") as lock:
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.path.exists():
                files.remove_leftovers(self.path.parent, self.path.name)
                with files.new_file(self.path) as beside:
                    storage.fetch(self.url, beside, self.state)
        return self.path


def opened(path: Path) -> Read:
    """Reading of a tar file on disk, which is closed with the function.

    Raises:
        InputError: It cannot be opened.
    """
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error

    def read(offset: int, size: int) -> bytes:
        return os.pread(file, size, offset)

    weakref.finalize(read, os.close, file)
    return read


def fingerprint_of(tar: Path | RemoteTar) -> Fingerprint:
    """Fingerprint of a tar file; that of a remote one by its state.

    Raises:
        InputError: The file cannot be read.
    """
    if isinstance(tar, RemoteTar):
        return Fingerprint(size=tar.size, mtime_ns=0, digest=cache.digest([tar.state]))
    return fingerprint(tar)


def is_unchanged(tar: Path | RemoteTar, before: Fingerprint) -> bool:
    """True if a tar file is as it was, or a copy.

    Raises:
        InputError: The file cannot be read.
    """
    if isinstance(tar, RemoteTar):
        return fingerprint_of(tar) == before
    return unchanged(tar, before)


def remote_tar(url: str, copies: str) -> RemoteTar:
    """The tar file at an address.

    Args:
        url: Address.
        copies: Folder to which it is copied when it is first read; empty: its ranges are read.

    Raises:
        InputError: There is none, the store does not answer, or there is no place for its index.
    """
    address = storage.locate(url)[1]
    if storage.has_magic(address):
        raise InputError(f"{url} is a pattern; name the tar files, as in {{000..041}}.tar")
    (state,) = storage.find(url).values()
    kept = cache.folder()
    if not copies and kept is None:
        raise InputError(
            f"{url} needs a folder for its index; name one by {cache.VARIABLE} or data.copies"
        )
    folder = Path(copies).expanduser() if copies or kept is None else kept / FOLDER
    path = folder / cache.digest([url, state]) / PurePosixPath(address).name
    return RemoteTar(
        url=url, state=state, size=storage.size(url), path=path, is_copied=bool(copies)
    )


def check_space(tars: Sequence[RemoteTar]) -> None:
    """Refuse copies that do not fit on the disk, before the first is made.

    Raises:
        InputError: Names the space that is needed.
    """
    missing = [tar for tar in tars if tar.is_copied and not tar.path.exists()]
    if not missing:
        return
    folder = missing[0].path.parent.parent
    files.make_folder(folder)
    needed, free = sum(tar.size for tar in missing), shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"copies of {len(missing):,} shards need {needed / 1e9:,.1f} GB in {folder}, which has "
            f"{free / 1e9:,.1f} GB; leave data.copies empty to read ranges of them"
        )
