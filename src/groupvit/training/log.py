"""What a training tells while it runs: lines on the console, `log.jsonl`, and TensorBoard."""

import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import torch
from rich.console import Console

from groupvit import files
from groupvit.errors import InputError
from groupvit.progress import bar

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Item = TypeVar("Item")
Record = dict[str, float | int]
"""Numbers of one step by name; those of a kind share what stands before a slash."""


class Log:
    """The log of a run, on the rank that speaks; enter it before writing.

    Args:
        path: The file of JSON lines; those of later steps than `start` are dropped, so that a run
            that goes on has each step once. None on ranks that do not write.
        start: Steps done before.
        steps: Length of the run.
        console: Where lines and, in a terminal, a progress bar go.
        tensorboard: Folder of TensorBoard's files; None: none.

    Raises:
        InputError: TensorBoard is wanted and not installed.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        start: int,
        steps: int,
        console: Console,
        tensorboard: Path | None,
    ) -> None:
        self._path, self._steps, self._console = path, steps, console
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

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False)

    def write(self, step: int, record: Record) -> None:
        """Tell the numbers of a step, once; in JSON what is no finite number is null.

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
        self.say(as_line(step, self._steps, record))
        for name, value in record.items():
            if self._board:
                self._board.add_scalar(name, value, step)


class Meter:
    """Measures the rate of steps between lines of the log, and the share of waiting for data."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Measure from now on: what was between, such as an evaluation, belongs to no step."""
        self._start = time.perf_counter()
        self._waited, self._images = 0.0, 0

    def timed(self, items: Iterator[Item]) -> Iterator[Item]:
        """The same items; the time until each comes counts as waiting."""
        while True:
            asked = time.perf_counter()
            try:
                item = next(items)
            except StopIteration:
                return
            self._waited += time.perf_counter() - asked
            yield item

    def count(self, images: int) -> None:
        """Note that so many images are done."""
        self._images += images

    def read(self, device: torch.device) -> Record:
        """Rate, share of waiting, and most memory so far; begins to measure anew."""
        seconds = time.perf_counter() - self._start
        record: Record = {
            "images_per_second": self._images / seconds,
            "waiting": self._waited / seconds,
            **memory(device),
        }
        self.restart()
        return record


def memory(device: torch.device) -> Record:
    """The most memory that the process has held so far [GiB], on its GPU or else in all."""
    if device.type == "cuda":
        return {"memory_gib": torch.cuda.max_memory_allocated(device) / 2**30}
    if os.name != "posix":
        return {}
    import resource
    import sys

    unit = 1 if sys.platform == "darwin" else 2**10
    return {"memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30}


def as_line(step: int, steps: int, record: Record) -> str:
    """The numbers of a step for people; what belongs to a number stands in brackets behind it."""
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
    """Drop the lines of later steps, and what a kill left of the last line.

    Raises:
        InputError: The file cannot be written.
    """
    if not path.exists():
        return
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        files.write_text(path, "".join(line + "\n" for line in lines if _step(line) <= step))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except ValueError:
        return math.inf


def board(folder: Path, start: int) -> "SummaryWriter":
    """TensorBoard's writer, which forgets what lies behind the start.

    Raises:
        InputError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError("tensorboard is not installed; pip install groupvit[train]") from error
    return SummaryWriter(str(folder), purge_step=start + 1)
