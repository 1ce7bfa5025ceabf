"""`groupvit compare`: evaluations side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from groupvit.cli.options import Flag
from groupvit.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

Evaluations = tyro.conf.Positional[
    Annotated[tuple[Path, ...], tyro.conf.arg(metavar="EVALUATION EVALUATION [...]")]
]


def compare(evaluations: Evaluations, /, *, anyway: Flag = False) -> int:
    """Put scores side by side, with the gain of each over the first.

    Numbers compare only if they were measured alike: on the same images, by the same protocol.
    Where they were not, the command says in what they differ, and stops.

    Args:
        evaluations: Folders that `groupvit evaluate --out` wrote, or the scores.json in them.
        anyway: Compare in spite of different conditions; they are told.
    """
    from rich.console import Console

    from groupvit.evaluation.compare import differences, read

    if len(evaluations) < 2:
        raise InputError("give at least two evaluations to compare")
    found = [read(path) for path in evaluations]
    different = differences(found)
    if different and not anyway:
        told = "; ".join(f"{one.condition} ({' / '.join(one.values)})" for one in different)
        raise InputError(
            f"these were not measured alike, but differ in {told}; measure them alike, or pass "
            "--anyway to see them side by side"
        )
    console = Console(highlight=False, soft_wrap=True)
    names = [str(path) for path in evaluations]
    if different:
        console.print("[yellow]not measured alike: no gain can be read from these numbers[/]")
        rows = {one.condition: list(one.values) for one in different}
        console.print(_table("in what they differ", names, rows))
    console.print(_table("scores [%]", names, _means(found)))
    console.print(_table("IoU by class [%]", names, _classes(found)))
    return 0


def _means(found: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    stages = range(min(len(one["oracles"]) for one in found))
    rows = {
        "mIoU": [one["scores"]["miou"] for one in found],
        **{
            f"oracle, stage {stage + 1}": [one["oracles"][stage]["miou"] for one in found]
            for stage in stages
        },
        "boundary mIoU": [one["borders"]["miou"] for one in found],
        "pixel accuracy": [one["scores"]["pixel_accuracy"] for one in found],
    }
    return {name: _gains(values) for name, values in rows.items()}


def _classes(found: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    labels = list(found[0]["scores"]["iou"])
    return {name: _gains([one["scores"]["iou"].get(name) for one in found]) for name in labels}


def _gains(values: Sequence[float | None]) -> list[str]:
    first, *others = values
    return [_percent(first), *(f"{_percent(value)} {_gain(value, first)}" for value in others)]


def _gain(value: float | None, first: float | None) -> str:
    return "" if value is None or first is None else f"({100 * (value - first):+.1f})"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _table(title: str, names: Sequence[str], rows: Mapping[str, Sequence[str]]) -> "Table":
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE, title=title, title_justify="left")
    table.add_column("")
    for name in names:
        table.add_column(escape(name), justify="right", overflow="fold")
    for name, cells in rows.items():
        table.add_row(escape(name), *map(escape, cells))
    return table
