"""Journal of an evaluation: the counts of every image, from which an interrupted one resumes."""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from groupvit import files
from groupvit.distributed import Ranks
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


@runtime_checkable
class Counts(Protocol):
    """Counts of one image."""

    @property
    def index(self) -> int:
        """Index of the image in the benchmark."""
        ...

    def to_values(self) -> dict[str, Any]:
        """Values for JSON."""
        ...


OfImage = TypeVar("OfImage", bound=Counts)
Prepare = Callable[[], object]


class CountsJournal(Generic[OfImage]):
    """Files of JSON lines: the conditions first, then the counts of one image in each line.

    A killed process leaves at worst half a line, which is removed when the evaluation resumes.
    All files of the folder are read, so that the number of processes may change in between. Until
    it is closed, no other evaluation can use the folder.

    Args:
        folder: Folder of the files; created if it does not exist.
        conditions: Conditions of the counts, as JSON holds them.
        parse: Function that makes counts of the values of a line, and checks them.
        rank: Rank of the process that writes.
        prepare: Called before files are read, when the folder is this evaluation's own.

    Raises:
        InputError: The folder holds a journal of other conditions, is used by another process, or
            cannot be written, or a line of the journal is damaged.
    """

    def __init__(
        self,
        folder: Path,
        conditions: Mapping[str, Any],
        parse: Callable[[Any], OfImage],
        *,
        rank: int = 0,
        prepare: Prepare | None = None,
    ) -> None:
        self._file = folder / f"{NAME}-{rank}.jsonl"
        self._lock: int | None = None
        self._done: dict[int, OfImage] = {}
        self._parse = parse
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
            whole = "".join(_whole_lines(self._file)) or json.dumps(dict(conditions)) + "\n"
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
    def done(self) -> list[OfImage]:
        """Counts that were in the folder before, each image once."""
        return list(self._done.values())

    def add(self, counts: OfImage) -> None:
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

    def __enter__(self) -> "CountsJournal[OfImage]":
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

    def _read(self, file: Path, conditions: Mapping[str, Any]) -> None:
        for number, line in enumerate(_whole_lines(file), start=1):
            try:
                values = parse_json(line)
                if number > 1:
                    counts = self._parse(values)
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


class Journal(CountsJournal[ImageCounts]):
    """Journal of an evaluation on a benchmark.

    Args:
        folder: Folder of the files; created if it does not exist.
        measurement: Conditions of the counts.
        data: Digest of the data; see `data_of`.
        rank: Rank of the process that writes.
        prepare: Called before files are read, when the folder is this evaluation's own.
    """

    def __init__(
        self,
        folder: Path,
        measurement: Measurement,
        data: str,
        *,
        rank: int = 0,
        prepare: Prepare | None = None,
    ) -> None:
        num_classes = len(measurement.labels) + (measurement.certainty is not None)

        def parse(values: Any) -> ImageCounts:
            counts = ImageCounts.from_values(values)
            counts.check(num_classes=num_classes)
            return counts

        conditions = measurement.to_values() | {"data": data}
        super().__init__(folder, conditions, parse, rank=rank, prepare=prepare)


@contextmanager
def opened(
    make: Callable[..., CountsJournal[OfImage]] | None, ranks: Ranks, prepare: Prepare | None
) -> Iterator[CountsJournal[OfImage] | None]:
    """Journal of this rank, which it opens after rank 0.

    Args:
        make: Function that opens it, of the arguments `rank` and `prepare`; None: no journal.
        ranks: Processes that share the images.
        prepare: Called on rank 0 before files are read.
    """
    if make is None:
        yield None
        return
    if not ranks.is_main:
        ranks.barrier()
        prepare = None
    with make(rank=ranks.rank, prepare=prepare) as journal:
        if ranks.is_main:
            ranks.barrier()
        yield journal


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
