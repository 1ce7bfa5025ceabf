"""Journal of an evaluation: the counts of every image, from which an interrupted one resumes."""

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from groupvit import files
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.measurement import Measurement
from groupvit.evaluation.per_image import ImageCounts
from groupvit.values import parse_json

try:
    import fcntl
except ModuleNotFoundError:  # on Windows, where folders cannot be locked
    fcntl = None  # type: ignore[assignment]

NAME = "images"
"""Stem of the files: images-0.jsonl and so on, one for each process that writes."""
_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, OverflowError)
_NO_LOCKS = (errno.ENOTSUP, errno.ENOLCK, errno.EINVAL, errno.ENOSYS, errno.EBADF)
"""Errors of file systems that know no locks."""


def data_of(benchmark: Benchmark) -> str:
    """Digest of the files of a benchmark: names, sizes, times of change, and classes of values.

    It is empty for a benchmark without files, such as drawn scenes.

    Raises:
        InputError: A file does not exist any more.
    """
    pairs = getattr(benchmark, "pairs", ())
    if not pairs:
        return ""
    digest = hashlib.sha256(repr(getattr(benchmark, "value_names", ())).encode())
    digest.update(benchmark.values.tobytes() if hasattr(benchmark, "values") else b"")
    for pair in pairs:
        for path in pair:
            try:
                found = path.stat()
            except OSError as error:
                raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
            facts = (path.name, found.st_size, found.st_mtime_ns)
            digest.update(repr(facts).encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


class Journal:
    """Files of JSON lines: the measurement first, then the counts of one image in each line.

    A killed process leaves at worst half a line, which is removed when the evaluation resumes.
    All files of the folder are read, so that the number of processes may change in between. Until
    it is closed, no other evaluation can use the folder.

    Args:
        folder: Folder of the files; created if it does not exist.
        measurement: Conditions of the counts.
        data: Digest of the data; see `data_of`.
        rank: Rank of the process that writes.
        prepare: Called before files are read, when the folder is this evaluation's own.

    Raises:
        InputError: The folder holds the journal of another measurement or of other data, is used by
            another process, or cannot be written, or a line of the journal is damaged.
    """

    def __init__(
        self,
        folder: Path,
        measurement: Measurement,
        data: str,
        *,
        rank: int = 0,
        prepare: Callable[[], object] | None = None,
    ) -> None:
        self._file = folder / f"{NAME}-{rank}.jsonl"
        self._lock: int | None = None
        self._done: dict[int, ImageCounts] = {}
        conditions = measurement.to_values() | {"data": data}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if rank == 0:
                self._lock = _locked(folder)
                files.remove_leftovers(folder)  # of an evaluation that was killed
            if prepare is not None:
                prepare()
            for file in sorted(folder.glob(f"{NAME}-*.jsonl")):
                self._read(file, conditions)
            # The first line, or all lines but a half last one.
            whole = "".join(_whole_lines(self._file)) or json.dumps(conditions) + "\n"
            if not self._file.exists() or self._file.read_bytes() != whole.encode():
                files.write_text(self._file, whole)
        except OSError as error:
            self.close()
            raise InputError(
                f"--out {folder} cannot be written: {error.strerror or error}"
            ) from error
        except BaseException:
            self.close()
            raise

    @property
    def done(self) -> list[ImageCounts]:
        """Counts that were in the folder before, each image once."""
        return list(self._done.values())

    def add(self, counts: ImageCounts) -> None:
        """Append the counts of an image.

        Raises:
            InputError: The file cannot be written.
        """
        try:
            with self._file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(counts.to_values()) + "\n")
        except OSError as error:
            raise InputError(f"{self._file} cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Let other evaluations use the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        """Close it where nothing else did."""
        self.close()

    def _read(self, file: Path, conditions: dict[str, Any]) -> None:
        num_classes = len(conditions["labels"]) + (conditions["certainty"] is not None)
        for number, line in enumerate(_whole_lines(file), start=1):
            try:
                values = parse_json(line)
                if number > 1:
                    counts = ImageCounts.from_values(values)
                    counts.check(num_classes=num_classes)
                    self._done.setdefault(counts.index, counts)
                    continue
                other = [name for name, value in conditions.items() if values.get(name) != value]
            except _DAMAGED as error:
                raise InputError(
                    f"{file}, line {number} is damaged ({error!r:.60}); take the line out, or pass "
                    "--overwrite to begin anew"
                ) from None
            if other == ["data"]:
                raise InputError(
                    f"{file} is of an evaluation whose images or masks were others, or have "
                    "changed since; choose another --out, or pass --overwrite to begin anew"
                )
            if other:
                raise InputError(
                    f"{file} is of an evaluation with another {other[0].replace('_', ' ')}; choose "
                    "another --out, or pass --overwrite to begin anew"
                )


def _locked(folder: Path) -> int | None:
    """Descriptor of the folder, locked until it is closed; None where there are no locks.

    The lock ends with the process, however it ends, and leaves no file.
    """
    if fcntl is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in _NO_LOCKS:
            return None
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        raise InputError(
            f"another process is evaluating into {folder} now; wait for it, or choose another --out"
        ) from None
    return descriptor


def _whole_lines(file: Path) -> list[str]:
    """Lines of a file, without a last one that has no end."""
    if not file.exists():
        return []
    files.check_readable(file)
    lines = file.read_bytes().decode("utf-8", errors="replace").split("\n")
    return [f"{line}\n" for line in lines[:-1]]
