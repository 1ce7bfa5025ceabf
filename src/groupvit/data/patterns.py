"""Brace expansion of paths and addresses of shards: "pairs/train-{000000..000331}.tar"."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from groupvit import files, storage
from groupvit.data import remote
from groupvit.data.remote import RemoteTar
from groupvit.errors import InputError

_BRACES = re.compile(r"\{([^{}]*)\}")
_NUMBER = re.compile(r"-\d+$")
"""Number of a shard, at the end of its name."""
_RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})")


def expand(patterns: Sequence[str], *, copies: str = "") -> tuple[Path | RemoteTar, ...]:
    """The files of all patterns in their order; a repeated file is listed each time.

    A range such as {08..11} keeps its leading zeros; a list such as {train,dev} gives each of its
    parts. "~" is the home folder.

    Args:
        patterns: Paths, and URLs of object stores.
        copies: Folder to which files of object stores are copied when they are first read; empty:
            their ranges are read.

    Raises:
        InputError: There are no patterns, a file is missing, a store does not answer, copies do not
            fit on the disk, or a command that was killed left some of the shards old and some new.
    """
    if not patterns:
        raise InputError('no shards given; name tar files, such as "pairs/train-{000..011}.tar"')
    tars: list[Path | RemoteTar] = [
        remote.remote_tar(name, copies) if storage.is_url(name) else _file(name)
        for name in chain.from_iterable(map(expand_braces, patterns))
    ]
    remote.check_space([tar for tar in tars if isinstance(tar, RemoteTar)])
    paths = [tar for tar in tars if isinstance(tar, Path)]
    for folder, name in sorted({(path.parent, _NUMBER.sub("", path.stem)) for path in paths}):
        files.check_whole(folder, name)  # of `groupvit pack`
        files.check_whole(folder.parent, name)  # of `groupvit storybook`
    return tuple(tars)


def _file(name: str) -> Path:
    """A tar file on disk."""
    path = Path(name).expanduser()
    try:
        files.check_readable(path)
    except (FileNotFoundError, IsADirectoryError):
        pass
    except OSError as error:
        raise InputError(f"{name!r:.200} cannot be read: {error.strerror or error}") from error
    if path.is_dir():
        raise InputError(f"{path} is a folder; name the tar files in it")
    if not path.exists():
        raise InputError(f"no shard {path}; check the path and the numbers in its braces")
    return path


def expand_braces(pattern: str) -> Iterator[str]:
    """Names that the braces of a pattern stand for, one by one: a mistaken range may be endless."""
    found = _BRACES.search(pattern)
    if found is None:
        yield pattern
        return
    before, after = pattern[: found.start()], pattern[found.end() :]
    for part in _parts(found.group(1)):
        yield from expand_braces(before + part + after)


def _parts(inside: str) -> Iterable[str]:
    numbers = _RANGE.fullmatch(inside)
    if numbers is None:
        return inside.split(",")
    first, last = numbers.groups()
    step = 1 if int(first) <= int(last) else -1
    digits = len(first) if first.startswith("0") else 1
    return (str(n).zfill(digits) for n in range(int(first), int(last) + step, step))
