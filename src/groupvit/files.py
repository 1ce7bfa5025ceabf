"""Files and folders that appear whole: written beside their place, flushed to disk, then renamed.

Whatever fails in between, the place holds the old content or the new, never a part of it.
"""

import codecs
import ctypes
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
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


def remove_leftovers(folder: Path, *names: str) -> None:
    """Delete the temporary files and folders in `folder` whose process was killed.

    Only for a folder, or names in it, that no other process is writing now.

    Args:
        folder: Folder that holds them.
        names: Names of the files or folders that they were to become; none: any.
    """
    tails = set(map(_tail, names))
    for left_over in folder.glob(_PREFIX.format("?" * 8) + "*"):
        if not tails or left_over.name[len(_PREFIX.format("?" * 8)) :] in tails:
            _delete(left_over)


def replace_all(new: Path, folder: Path, name: str, *, obsolete: Sequence[str] = ()) -> None:
    """Move everything in a temporary folder into `folder`, where it replaces what has its names.

    From the first move to the last a hidden folder holds what is left to do. If the process is
    killed meanwhile, `check_whole` refuses the files, and `complete` does the rest.

    Args:
        new: Folder, which is renamed and, in the end, deleted.
        folder: Its parent.
        name: Name of the outputs, as for `temporary_folder`.
        obsolete: Names in `folder` to delete after that.

    Raises:
        OSError: The disk refuses.
    """
    (new / _OBSOLETE).write_text("".join(f"{one}\n" for one in obsolete), encoding="utf-8")
    replace(new, _moving(folder, name))
    complete(folder, name)


def complete(folder: Path, name: str) -> None:
    """Do what a process left to do that was killed in `replace_all`; call it before other work.

    Raises:
        InputError: The disk refuses.
    """
    moving = _moving(folder, name)
    if not moving.is_dir():
        return
    old = moving / _REPLACED
    with _refusals(folder / name):
        old.mkdir(exist_ok=True)
        for path in sorted(moving.iterdir()):
            if path.name in (_OBSOLETE, _REPLACED):
                continue
            place = folder / path.name
            # Not swapped, as a killed process must leave what shows whether this was done.
            if path.is_dir() and place.exists():
                place.rename(old / path.name)
            path.replace(place)
        if (moving / _OBSOLETE).exists():
            for obsolete in (moving / _OBSOLETE).read_text(encoding="utf-8").splitlines():
                _delete(folder / obsolete)
        flush(folder)
        _delete(moving)


def check_whole(folder: Path, name: str) -> None:
    """Check that no process was killed while it replaced these outputs.

    Raises:
        InputError: Some of them are old and some new.
    """
    if _moving(folder, name).is_dir():
        raise InputError(
            f"{folder} holds old and new files of {name!r}, as the command that replaced them was "
            "killed or still runs; give that command again"
        )


_PREFIX = ".partial-{}-"
"""Hidden, so that no search for images or shards finds it; the suffix stays at the end."""
_MOVING, _OBSOLETE, _REPLACED = ".moving-{}", ".obsolete", ".replaced"
"""Hidden folder of what `replace_all` moves; in it the list of what it deletes, and the folder of
old folders."""
_OLD = "-old"
"""Added to the name of a temporary folder for the folder that it replaces."""
_LONG_NAME = 143
"""Longest name that every file system holds [bytes]; eCryptfs has the least."""


def _moving(folder: Path, name: str) -> Path:
    return folder / _MOVING.format(name)


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
