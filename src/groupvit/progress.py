"""The progress bar of everything that takes long: how much is done, how fast, how long it takes."""

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
"""Callback of long work: number of parts that are done, and of all parts."""


class Rate(ProgressColumn):
    """Parts per second, of late."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what

    def render(self, task: Task) -> Text:
        """Three digits, whether there are thousands in a second or a few in an hour."""
        if not task.speed:
            return Text("")
        digits = 0 if task.speed >= 100 else 1 if task.speed >= 10 else 2
        return Text(f"{task.speed:,.{digits}f} {self._what}/s")


def bar(what: str, console: Console) -> Progress:
    """A bar that goes when its work is done, and shows nothing where no one looks.

    Args:
        what: The parts of the work, in the plural.
        console: Where it is shown, if that is a terminal.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(what),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@contextmanager
def counted(what: str) -> Iterator[Callable[[int, int], None]]:
    """The bar as a function that is told how many are done, and of how many."""
    with bar(what, Console(stderr=True)) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
