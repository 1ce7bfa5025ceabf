"""Progress bars of long tasks: number of items done, items per second, and the time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

OnProgress = Callable[[int, int], object]
"""Callback for the number of items done and their total number."""


class Rate(ProgressColumn):
    """Recent items per second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """The rate with at most three digits, from thousands per second to a few per hour."""
        if not task.speed:
            return Text("")
        digits = 0 if task.speed >= 100 else 1 if task.speed >= 10 else 2
        return Text(f"{task.speed:,.{digits}f} {self._unit}/s")


def bar(unit: str, console: Console) -> Progress:
    """A progress bar that disappears at the end, and is hidden outside a terminal.

    Args:
        unit: Name of the items, in the plural.
        console: Console of the bar.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(unit),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@contextmanager
def counted(unit: str) -> Iterator[OnProgress]:
    """A progress bar on standard error as a callback."""
    with bar(unit, Console(stderr=True)) as progress:
        task = progress.add_task(unit, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
