"""Files on disk or in an object store, by path or URL, through fsspec."""

import errno
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import has_magic as has_magic
from fsspec.implementations.local import LocalFileSystem

from groupvit import files
from groupvit.errors import InputError

_LIBRARIES = (
    "aiobotocore",
    "aiohttp",
    "botocore",
    "gcsfs",
    "google",
    "adlfs",
    "azure",
    "requests",
    "httpx",
)
"""Packages behind file systems, whose exceptions have no common base."""


def locate(url: str) -> tuple[Any, str]:
    """File system of a path or URL, and the path in it.

    Raises:
        InputError: The kind of address is unknown, or the package for it is missing.
    """
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise InputError(
            f"{url} needs a package that is missing ({error}); for s3:// install groupvit[s3]"
        ) from error
    except ValueError as error:
        raise InputError(f"{url} cannot be opened: {error}") from error
    return fs, path


@contextmanager
def refusals(url: str) -> Iterator[None]:
    """Turn the errors of disks and object stores, after their own retries, into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"there is nothing at {url}; check the address") from error
    except PermissionError as error:
        raise InputError(f"no permission for {url}; check credentials and rights") from error
    except OSError as error:
        raise InputError(f"{url} cannot be read or written: {error}") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in _LIBRARIES:
            raise
        raise InputError(f"{url} cannot be read or written: {error}") from error


def is_local(url: str) -> bool:
    """True for a path on disk."""
    return isinstance(locate(url)[0], LocalFileSystem)


def is_url(name: str) -> bool:
    """True for an address, false for a path."""
    return "://" in name


def absolute(url: str) -> str:
    """The same address for processes with another working folder."""
    fs, path = locate(url)
    return path if isinstance(fs, LocalFileSystem) else url


def remove_leftovers(folder: str, name: str | None = None) -> None:
    """Delete the temporary files of a killed process on disk; object stores have none.

    Args:
        folder: Folder, with all folders below it.
        name: Name of the file that they were to become, directly in the folder; None: any.
    """
    if not is_local(folder):
        return
    path = Path(locate(folder)[1])
    if name is not None:
        files.remove_leftovers(path, name)
        return
    for inner in (path, *path.rglob("*/")):
        files.remove_leftovers(inner)


def join(folder: str, name: str) -> str:
    """Address of a file in a folder."""
    return f"{folder.rstrip('/')}/{name}"


def state(info: dict[str, Any]) -> str:
    """ETag of a file, or its size and time, from what its file system knows of it."""
    tag = info.get("ETag") or info.get("etag")
    times = [info.get(name) for name in ("mtime", "LastModified", "last_modified", "updated")]
    return str(tag or f"{info.get('size')}-{next(filter(None, times), None)}").strip('"')


def exists(url: str) -> bool:
    """True if there is something.

    Raises:
        InputError: The store does not answer.
    """
    fs, path = locate(url)
    with refusals(url):
        return has_magic(path) or bool(fs.exists(path))


def size(url: str) -> int:
    """Size of a file [bytes].

    Raises:
        InputError: It cannot be read.
    """
    fs, path = locate(url)
    with refusals(url):
        return int(fs.info(path)["size"])


def find(url: str, *, below: bool = False) -> dict[str, str]:
    """Addresses and states of the files that an address or pattern stands for, sorted.

    Args:
        url: Path, URL or pattern.
        below: List all files below a folder instead of the address itself.

    Raises:
        InputError: It cannot be listed.
    """
    fs, path = locate(url)
    with refusals(url):
        fs.invalidate_cache()
        if has_magic(path):
            found = fs.glob(path, detail=True)
        elif below:
            found = fs.find(path, detail=True)
        else:
            found = {path: fs.info(path)}
    local = isinstance(fs, LocalFileSystem)
    return {
        name if local else fs.unstrip_protocol(name): state(found[name]) for name in sorted(found)
    }


@contextmanager
def on_disk(url: str, expected: str | None = None) -> Iterator[Path]:
    """Path of a file, which is downloaded for the time of the context if it is remote.

    Args:
        url: Address of the file.
        expected: State that it should still have; None: any.

    Raises:
        InputError: It cannot be read, or was changed.
    """
    fs, path = locate(url)
    if isinstance(fs, LocalFileSystem):
        _check(url, expected)
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, Path(path).name)
        fetch(url, copy, expected)
        yield copy


def fetch(url: str, path: Path, expected: str | None = None) -> None:
    """Copy a file to the disk.

    Args:
        url: Address of the file.
        path: Place of the copy, which may be incomplete after an error.
        expected: State that the file should have before and after; None: any.

    Raises:
        InputError: It cannot be read, was changed, or the disk refuses.
    """
    fs, source = locate(url)
    _check(url, expected)
    with refusals(url):
        fs.get_file(source, str(path))
    _check(url, expected)


def put(path: Path, url: str) -> None:
    """Copy a file from the disk, as one object.

    Raises:
        InputError: It cannot be written.
    """
    fs, place = locate(url)
    with refusals(url):
        fs.put_file(str(path), place)


def remove(urls: Sequence[str]) -> None:
    """Delete files, in their order; none of them need exist.

    Raises:
        InputError: One cannot be deleted.
    """
    for url in urls:
        fs, path = locate(url)
        with refusals(url), suppress(FileNotFoundError):
            fs.rm_file(path)


class Ranges:
    """Ranges of a remote file, as long as it is unchanged.

    Args:
        url: Address of the file.
        expected: State that it should still have.

    Raises:
        InputError: It cannot be read, or was changed.
    """

    def __init__(self, url: str, expected: str) -> None:
        self._url, self._expected = url, expected
        self._open()

    def _open(self) -> None:
        fs, path = locate(self._url)
        _check(self._url, self._expected)
        with refusals(self._url):
            self._file = fs.open(path, "rb", cache_type="none")
        self._process = os.getpid()

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of a range, by one request.

        Raises:
            InputError: They cannot be read, or the file was changed.
        """
        if os.getpid() != self._process:  # connections do not survive a fork
            self._open()
        with refusals(self._url):
            try:
                self._file.seek(offset)
                content: bytes = self._file.read(size)
            except OSError as error:
                if error.errno != errno.EBUSY:  # s3fs's error of another ETag
                    raise
                raise InputError(_CHANGED.format(self._url)) from error
        return content


_CHANGED = "{} was changed since this run began; begin another with a new --out"


def _check(url: str, expected: str | None) -> None:
    """Refuse a file with another state."""
    if expected is not None and list(find(url).values()) != [expected]:
        raise InputError(_CHANGED.format(url))


@contextmanager
def new_file(url: str) -> Iterator[Path]:
    """Path of a temporary file that takes its place at the end: renamed, or put as one object.

    Raises:
        InputError: It cannot be written.
    """
    fs, path = locate(url)
    if isinstance(fs, LocalFileSystem):
        files.make_folder(Path(path).parent)
        with files.new_file(Path(path)) as beside:
            yield beside
        return
    with tempfile.TemporaryDirectory() as folder:
        beside = Path(folder, Path(path).name)
        yield beside
        put(beside, url)


def read(url: str) -> bytes:
    """Content of a file.

    Raises:
        InputError: It cannot be read.
    """
    fs, path = locate(url)
    with refusals(url):
        content: bytes = fs.cat_file(path)
        return content


def names(url: str) -> set[str]:
    """Names of the files in a folder; none if it does not exist.

    Raises:
        InputError: It cannot be listed.
    """
    fs, path = locate(url)
    with refusals(url):
        fs.invalidate_cache()
        try:
            return {Path(name).name for name in fs.ls(path, detail=False)}
        except FileNotFoundError:
            return set()


def parquet() -> Any:
    """The module `pyarrow.parquet`.

    Raises:
        InputError: pyarrow is not installed.
    """
    try:
        return import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError(
            "Parquet needs pyarrow, which is missing; install it with: pip install groupvit[bulk]"
        ) from error
