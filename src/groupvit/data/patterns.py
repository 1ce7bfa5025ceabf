"""Shards that paths, folders, globs, lists and ranges in braces stand for, on disk or in stores."""

import glob
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from groupvit import files, storage
from groupvit.data import remote
from groupvit.data.remote import RemoteTar
from groupvit.errors import InputError

MOST_NAMES = 1_000_000
"""Largest number of names that the braces of a pattern may stand for."""
LARGEST_LIST = 16 * 2**20
"""Largest text file that lists shards [bytes]."""

_BRACES = re.compile(r"\{([^{}]*)\}")
_NUMBER = re.compile(r"-\d+$")
"""Number of a shard, at the end of its name."""
_RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})")
_STANDS_ALONE = re.compile(r"~|\w+://")
"""Beginning of an entry of a list that is not relative to the folder of the list."""
_LIST, _SHARD = ".txt", ".tar"
"""Suffixes of lists, and of the files that globs and folders give."""

logger = logging.getLogger(__name__)


def expand(patterns: Sequence[str], *, copies: str = "") -> tuple[Path | RemoteTar, ...]:
    """The shards of all patterns in their order; a repeated file is listed each time.

    - A range such as {08..11} keeps its leading zeros. Numbers may be missing in it, which a
      warning reports; a list such as {train,dev} gives each of its parts.
    - A folder gives the .tar files directly in it, and a glob such as "pairs/*.tar" those that
      match, by name.
    - A text file (.txt) lists patterns, one a line, relative to its folder; lines with "#" at the
      beginning are comments.

    "~" is the home folder.

    Args:
        patterns: Paths, and URLs of object stores.
        copies: Folder to which files of object stores are copied when they are first read; empty:
            their ranges are read.

    Raises:
        InputError: There are no patterns, nothing is where one points, a store does not answer,
            copies do not fit on the disk, or a command that was killed left some of the shards old
            and some new.
    """
    if not patterns:
        raise InputError('no shards given; name tar files, such as "pairs/train-{000..011}.tar"')
    tars = [tar for one in _listed(patterns) for tar in _found(one, copies)]
    remote.check_space([tar for tar in tars if isinstance(tar, RemoteTar)])
    paths = [tar for tar in tars if isinstance(tar, Path)]
    for folder, name in sorted({(path.parent, _NUMBER.sub("", path.stem)) for path in paths}):
        files.check_whole(folder, name)  # of `groupvit pack`
        files.check_whole(folder.parent, name)  # of `groupvit storybook`
    return tuple(tars)


def _listed(patterns: Iterable[str]) -> Iterator[str]:
    """Patterns, with those of lists in place of the lists."""
    for pattern in patterns:
        if pattern.endswith(_LIST):
            yield from _lines(Path(pattern).expanduser())
        else:
            yield pattern


def _lines(path: Path) -> list[str]:
    try:
        text = files.read_text(path, largest=LARGEST_LIST)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"the list of shards {path} cannot be read: {reason}") from error
    lines = [line.strip() for line in text.split("\n")]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise InputError(f"the list of shards {path} is empty; name one a line")
    if nested := next((line for line in lines if line.endswith(_LIST)), None):
        raise InputError(f"{path} names {nested!r:.200}; a list of shards cannot name other lists")
    return [line if _STANDS_ALONE.match(line) else str(path.parent / line) for line in lines]


def _found(pattern: str, copies: str) -> list[Path | RemoteTar]:
    """Shards of a pattern: one or more."""
    tars: list[Path | RemoteTar] = []
    for one in _without_lists(pattern):
        names = list(islice(expand_braces(one), MOST_NAMES + 1))
        if len(names) > MOST_NAMES:
            raise InputError(
                f"{pattern:.200} stands for more than {MOST_NAMES:,} names; check the numbers in "
                "its braces"
            )
        there = {name: some for name in names if (some := _at(name, copies))}
        missing = [name for name in names if name not in there]
        if not there:
            raise InputError(f"no shard {missing[0]}; check the path and the numbers in its braces")
        if missing:
            logger.warning(
                "%s of %s shards of %s are missing, the first: %s",
                *(f"{len(missing):,}", f"{len(names):,}", one, missing[0]),
            )
        tars += [tar for some in there.values() for tar in some]
    return tars


def _at(name: str, copies: str) -> Sequence[Path | RemoteTar]:
    """Shards at a path or address without braces; none if nothing is there."""
    if storage.is_url(name):
        return [remote.remote_tar(name, copies)]
    path = Path(name).expanduser()
    try:
        files.check_readable(path)
    except (FileNotFoundError, IsADirectoryError):
        pass
    except OSError as error:
        text = f"{str(path)!r:.200} cannot be read: {error.strerror or error}"
        raise InputError(text) from error
    if path.is_dir():
        inside = _shards(path.iterdir())
        if not inside:
            raise InputError(f"{path} is a folder without {_SHARD} files; name another")
        return inside
    if path.exists():
        return [path]
    if glob.has_magic(str(path)):
        # `Path.glob` would give hidden files, and reads "**" in another way before Python 3.13.
        return _shards(map(Path, glob.iglob(str(path), recursive=True)))  # noqa: PTH207
    return []


def _shards(paths: Iterable[Path]) -> list[Path]:
    return sorted(
        path
        for path in paths
        if path.suffix == _SHARD and not path.name.startswith(".") and path.is_file()
    )


def _without_lists(pattern: str) -> Iterator[str]:
    """Patterns that have only ranges in their braces; each stands for at least one shard."""
    for found in _BRACES.finditer(pattern):
        if _RANGE.fullmatch(found[1]) is None:
            for part in found[1].split(","):
                yield from _without_lists(pattern[: found.start()] + part + pattern[found.end() :])
            return
    yield pattern


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
