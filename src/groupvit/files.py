"""Files and folders that appear whole: written beside their place, flushed to disk, then renamed.

Whatever fails in between, the place holds the old content or the new, never a part of it.
"""

import codecs
import ctypes
import errno
import glob
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from groupvit.errors import InputError


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Path of a temporary file beside `path`, with the same suffix; renamed to it at the end.

    Several processes may write the same file: one of them is last, and the file is whole.

    Raises:
        InputError: The file cannot be written; then what was at `path` stays.
    """
    beside = _beside(path)
    with _refusals(path):
        try:
            yield beside
            replace(beside, path)
        finally:
            _delete(beside)


def make_folder(path: Path) -> None:
    """Make a folder, and find out that it cannot be written before the work for it begins.

    Raises:
        InputError: It cannot be made or written.
    """
    with _refusals(path):
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def read_text(path: Path, *, largest: int | None = None) -> str:
    """Text of a UTF-8 file without a byte order mark, or of a UTF-16 file with one.

    Args:
        path: A regular file, or one below /dev, as shells name the output of another command.
        largest: Largest size that is read [bytes]; None: any.

    Raises:
        OSError: The file cannot be read, is no regular file, or is larger.
        UnicodeDecodeError: It is no such text.
    """
    check_readable(path)
    with path.open("rb") as file:
        content = file.read() if largest is None else file.read(largest + 1)
    if largest is not None and len(content) > largest:
        raise OSError(errno.EFBIG, f"it is larger than {largest:,} bytes")
    return decode(content)


def decode(content: bytes) -> str:
    """Text of the content of such a file, with line feeds as line ends.

    Raises:
        UnicodeDecodeError: It is no such text.
    """
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if is_utf_16 else "utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check_readable(path: Path) -> None:
    """Check that opening a path cannot wait for another process, as a named pipe does.

    Raises:
        OSError: It is no regular file and not below /dev, or does not exist.
    """
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "its name contains the character NUL")
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode) and Path("/dev") not in path.parents:
        raise OSError(errno.EINVAL, "it is no regular file")


def write_text(path: Path, text: str, *, errors: str = "strict") -> None:
    """Write a UTF-8 file; see `new_file`."""
    with new_file(path) as beside:
        beside.write_text(text, encoding="utf-8", errors=errors)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Temporary folder beside `path`, which takes its place at the end; parents are made.

    Only one process at a time may write a folder.

    Raises:
        InputError: The folder cannot be written; then what was at `path` stays.
    """
    with _refusals(path), _folder_beside(path) as beside:
        yield beside
        replace(beside, path)


@contextmanager
def temporary_folder(parent: Path, name: str) -> Iterator[Path]:
    """Hidden folder in `parent`, deleted at the end; for several outputs that belong together.

    Args:
        parent: Folder of the outputs; made if missing.
        name: Name of the outputs: only one process at a time may write them.

    Raises:
        InputError: `parent` cannot be written.
    """
    with _refusals(parent), _folder_beside(parent / name) as beside:
        yield beside


def replace(new: Path, path: Path) -> None:
    """Flush a file or folder and rename it to `path`; an old one is deleted after that.

    Raises:
        OSError: The disk refuses, or a file would replace a folder or a folder a file; what was at
            `path` stays.
    """
    for inner in sorted(new.rglob("*")) if new.is_dir() else ():
        flush(inner)
    flush(new)
    if not new.is_dir():
        new.replace(path)
    elif not path.is_dir():
        new.rename(path)
    elif _exchanged(new, path):
        _delete(new)
    else:  # a folder that holds something cannot be renamed over
        old = new.with_name(new.name + _OLD)
        path.rename(old)
        try:
            new.rename(path)
        except OSError:
            old.rename(path)
            raise
        _delete(old)
    flush(path.parent)


def _exchanged(one: Path, other: Path) -> bool:
    """Swap two folders in one step, so that a killed process leaves one of them at `other`.

    Returns:
        False where the system or the file system cannot.
    """
    exchange = None if os.name != "posix" else getattr(ctypes.CDLL(None), "renameat2", None)
    if exchange is None or one.is_symlink() or other.is_symlink():
        return False
    return bool(exchange(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _RENAME_EXCHANGE) == 0)


_HERE, _RENAME_EXCHANGE = -100, 2
"""Values of Linux: paths are relative to the working folder; swap."""


def flush(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on disk and survives a power cut."""
    folder = path.is_dir()
    if folder and os.name != "posix":  # elsewhere folders cannot be opened, and need not be
        return
    descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_aside(path: Path) -> Path:
    """Rename a folder to a hidden name beside it, and return that; a link stays as it is.

    Raises:
        OSError: It cannot be renamed.
    """
    place = path.resolve()  # the folder itself, if `path` is a link
    remove_leftovers(place.parent, place.name)
    return place.rename(_beside(place))


def remove_folder(path: Path) -> None:
    """Delete a folder, of which a killed process leaves all or nothing under its name.

    Raises:
        OSError: It cannot be renamed or deleted.
    """
    shutil.rmtree(set_aside(path))


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Delete the temporary files and folders in `folder` whose process was killed.

    Only for a folder, or a name in it, that no other process is writing now.

    Args:
        folder: Folder that holds them.
        name: Name of the file or folder that they were to become; None: any.
    """
    for left_over in folder.glob(
        _PREFIX.format("?" * 8) + (glob.escape(_tail(name)) if name else "*")
    ):
        _delete(left_over)


_PREFIX = ".partial-{}-"
"""Hidden, so that no search for images or shards finds it; the suffix stays at the end."""
_OLD = "-old"
"""Added to the name of a temporary folder for the folder that it replaces."""
_LONG_NAME = 143
"""Longest name that every file system holds [bytes]; eCryptfs has the least."""


def _beside(path: Path) -> Path:
    return path.with_name(_PREFIX.format(secrets.token_hex(4)) + _tail(path.name))


def _tail(name: str) -> str:
    """End of a name, short enough that a temporary name is no longer than a long name itself."""
    limit = max(len(os.fsencode(name)), _LONG_NAME) - len(_PREFIX.format("?" * 8) + _OLD)
    while len(os.fsencode(name)) > limit:
        name = name[1:]
    return name


@contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    beside = _beside(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, path.name)
    try:
        beside.mkdir()
        yield beside
    finally:
        _delete(beside)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a message that names `path`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
