"""Files that are kept between runs, so that the same work is not done again.

Every file is named by a digest of all that its content depends on, so that none is ever out of
date. Each is written beside its place and renamed: several processes may write the same one.
"""

import hashlib
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from groupvit.errors import InputError
from groupvit.files import make_folder, new_file

VARIABLE = "GROUPVIT_CACHE"
"""Environment variable: another folder; empty: nothing is kept."""
LARGEST = 1 << 30
"""Size up to which the files are kept [bytes]; the least recently used are deleted first."""
ABANDONED = 24 * 3600
"""Age from which a temporary file was left by a process that was killed [s]."""
_OURS = re.compile(r"[a-z]+-[0-9a-f]{32}\.cache")
_TEMPORARY = re.compile(rf"\.partial-[0-9a-f]{{8}}-{_OURS.pattern}")


def folder() -> Path | None:
    """The folder, which may not exist yet; None if nothing is to be kept, or there is no home."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named).expanduser() if named.strip() else None
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "groupvit"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "groupvit"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "groupvit"


def digest(parts: Iterable[str | bytes | memoryview]) -> str:
    """Digest of a sequence of texts and bytes: 32 hexadecimal digits."""
    found = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        found.update(f"{memoryview(data).nbytes}:".encode())  # or "a", "bc" would equal "ab", "c"
        found.update(data)
    return found.hexdigest()[:32]


def find(kind: str, key: str) -> Path | None:
    """The file of this kind and digest, if it is kept; it then counts as used now."""
    place = folder()
    if place is None or not (path := place / _name(kind, key)).is_file():
        return None
    with suppress(OSError):
        os.utime(path)
    return path


@contextmanager
def new(kind: str, key: str) -> Iterator[Path]:
    """Path of a temporary file, which becomes the file of this kind; old files are deleted.

    Args:
        kind: A word in small letters.
        key: Digest of all that the content depends on; see `digest`.

    Raises:
        InputError: Nothing is kept, or the folder cannot be written.
    """
    place = folder()
    if place is None:
        raise InputError(f"{VARIABLE} is empty, so that nothing is kept between runs")
    make_folder(place)
    with new_file(place / _name(kind, key)) as beside:
        yield beside
    _delete_oldest(place)


def _name(kind: str, key: str) -> str:
    return f"{kind}-{key}.cache"


def _delete_oldest(place: Path) -> None:
    """Delete the least recently used files beyond the largest size, and abandoned ones.

    No other file is touched: the user may have named a folder that holds something else.
    """
    found = []
    for path in place.iterdir():
        with suppress(OSError):  # another process may have deleted it
            status = path.stat()
            if _OURS.fullmatch(path.name):
                found.append((status.st_mtime_ns, status.st_size, path))
            elif _TEMPORARY.fullmatch(path.name) and time.time() - status.st_mtime > ABANDONED:
                path.unlink()
    total = 0
    for _, size, path in sorted(found, reverse=True):
        total += size
        if total > LARGEST:
            with suppress(OSError):
                path.unlink()
