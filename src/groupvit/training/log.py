"""Log of a run: lines on the console, `log.jsonl`, and TensorBoard."""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import torch
from rich.console import Console

from groupvit import files
from groupvit.errors import InputError
from groupvit.progress import bar
from groupvit.values import parse_json

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Item = TypeVar("Item")
Record = dict[str, float | int]
"""Numbers of one step by name; numbers of one kind share a prefix that ends in a slash."""
OnRecord = Callable[[int, Record], None]
"""Function that is called with a step, counted from 1, and its numbers."""


class Log:
    """Log of a run on the main rank; a context manager.

    Args:
        path: File of JSON lines; lines of steps after `start` are dropped, so that a resumed run
            has each step once. None on ranks that do not write.
        start: Number of finished steps.
        steps: Length of the run.
        console: Output of the lines and, in a terminal, of the progress bar.
        tensorboard: Folder for TensorBoard; None: not written.
        on_record: Functions that are called with every step that is written and its numbers.

    Raises:
        InputError: TensorBoard is requested and not installed.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        start: int,
        steps: int,
        console: Console,
        tensorboard: Path | None,
        on_record: Sequence[OnRecord] = (),
    ) -> None:
        self._path, self._steps, self._console = path, steps, console
        self._on_record = tuple(on_record)
        if path is not None:
            trim(path, start)
        self._board = board(tensorboard, start) if path is not None and tensorboard else None
        self._progress = bar("steps", console)
        self._task = self._progress.add_task("steps", total=steps, completed=start)

    def __enter__(self) -> "Log":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
        if self._board:
            self._board.close()

    def advance(self, step: int) -> None:
        """Move the progress bar."""
        self._progress.update(self._task, completed=step)

    def print(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False)

    def write(self, step: int, record: Record) -> None:
        """Write the numbers of a step; in JSON a non-finite number is null.

        Raises:
            InputError: The file cannot be written.
        """
        if self._path is None:
            return
        finite = {name: value if math.isfinite(value) else None for name, value in record.items()}
        line = json.dumps({"step": step, **finite})
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise InputError(f"{self._path} cannot be written: {error.strerror}") from error
        self.print(as_line(step, self._steps, record))
        for name, value in record.items():
            if self._board:
                self._board.add_scalar(name, value, step)
        for call in self._on_record:
            call(step, record)


class Meter:
    """Rate of the steps between two log lines, and the share of time spent waiting for data."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Start measuring; time before now, such as that of an evaluation, does not count."""
        self._start = time.perf_counter()
        self._waited, self._images = 0.0, 0

    def timed(self, items: Iterator[Item]) -> Iterator[Item]:
        """Pass on the items; the time until each arrives counts as waiting."""
        while True:
            start = time.perf_counter()
            try:
                item = next(items)
            except StopIteration:
                return
            self._waited += time.perf_counter() - start
            yield item

    def count(self, images: int) -> None:
        """Count finished images."""
        self._images += images

    def read(self, device: torch.device) -> Record:
        """Rate, share of waiting, and peak memory; restarts the measurement."""
        seconds = time.perf_counter() - self._start
        record: Record = {
            "images_per_second": self._images / seconds,
            "waiting": self._waited / seconds,
            **memory(device),
        }
        self.restart()
        return record


def memory(device: torch.device) -> Record:
    """Peak memory of the process [GiB], on its GPU if it uses one."""
    if device.type == "cuda":
        return {"memory_gib": torch.cuda.max_memory_allocated(device) / 2**30}
    if os.name != "posix":
        return {}
    import resource
    import sys

    unit = 1 if sys.platform == "darwin" else 2**10
    return {"memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30}


def as_line(step: int, steps: int, record: Record) -> str:
    """Log line of a step; the parts of a number follow it in brackets."""
    heads: dict[str, list[str]] = {}
    for name, value in record.items():
        head, _, part = name.replace("_", " ").partition("/")
        parts = heads.setdefault(head, [""])
        if part:
            parts.append(f"{part} {_short(value)}")
        else:
            parts[0] = f" {_short(value)}"
    shown = [
        f"{head}{own}" + (f" ({', '.join(rest)})" if rest else "")
        for head, (own, *rest) in heads.items()
    ]
    return ", ".join([f"step {step}/{steps}", *shown])


def _short(value: float | int) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.2e}" if 0 < abs(value) < 1e-3 else f"{value:.4g}"


def trim(path: Path, step: int) -> None:
    """Drop the lines of later steps, and an incomplete last line.

    Raises:
        InputError: The file cannot be written.
    """
    if not path.exists():
        return
    try:
        files.check_readable(path)
        lines = path.read_bytes().decode("utf-8", "replace").splitlines()
        files.write_text(path, "".join(line + "\n" for line in lines if _step(line) <= step))
    except OSError as error:
        raise InputError(f"{path} cannot be changed: {error.strerror or error}") from error


def _step(line: str) -> float:
    try:
        return float(parse_json(line)["step"])
    except (ValueError, TypeError, KeyError):
        return math.inf


def board(folder: Path, start: int) -> "SummaryWriter":
    """TensorBoard writer that drops the steps after `start`.

    Raises:
        InputError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError("tensorboard is not installed; pip install groupvit[train]") from error
    return SummaryWriter(str(folder), purge_step=start + 1)
