"""`groupvit compare`: scores of several evaluations side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from groupvit.cli.options import Flag
from groupvit.errors import InputError

if TYPE_CHECKING:
    from groupvit.evaluation.compare import StoredEvaluation

Evaluations = tyro.conf.Positional[
    Annotated[
        tuple[Path, ...],
        tyro.conf.arg(metavar="EVALUATION EVALUATION [...]", help_behavior_hint="(required)"),
    ]
]


def compare(evaluations: Evaluations, /, *, anyway: Flag = False) -> int:
    """Show scores side by side, with the gain of each evaluation over the first.

    Scores compare only under the same conditions: the same images, by the same protocol.
    Otherwise the command lists the differences and stops.

    Args:
        evaluations: Folders of `groupvit evaluate --out`, or the scores.json in them.
        anyway: Show scores under different conditions, with the differences.
    """
    from groupvit.evaluation.compare import differences, read

    if len(evaluations) < 2:
        raise InputError("give at least two evaluations to compare")
    found = [read(path) for path in evaluations]
    different = differences(found)
    if different and not anyway:
        listed = "; ".join(f"{one.condition} ({' / '.join(one.values)})" for one in different)
        raise InputError(
            f"the conditions of these evaluations differ in {listed}; evaluate under the same "
            "conditions, or pass --anyway to see the scores side by side"
        )
    console = Console(highlight=False, soft_wrap=True)
    names = [str(path) for path in evaluations]
    if different:
        console.print("[yellow]different conditions: these scores do not compare[/]")
        rows = {one.condition: list(one.values) for one in different}
        console.print(_table("different conditions", names, rows))
    console.print(_table("scores [%]", names, _means(found)))
    console.print(_table("IoU by class [%]", names, _classes(found)))
    return 0


def _means(found: Sequence["StoredEvaluation"]) -> dict[str, list[str]]:
    stages = range(min(len(one.oracle_mious) for one in found))
    rows = {
        "mIoU": [one.miou for one in found],
        **{f"oracle, stage {k + 1}": [one.oracle_mious[k] for one in found] for k in stages},
        "boundary mIoU": [one.boundary_miou for one in found],
        "pixel accuracy": [one.pixel_accuracy for one in found],
    }
    return {name: _gains(values) for name, values in rows.items()}


def _classes(found: Sequence["StoredEvaluation"]) -> dict[str, list[str]]:
    return {name: _gains([one.iou.get(name) for one in found]) for name in found[0].iou}


def _gains(values: Sequence[float | None]) -> list[str]:
    from groupvit.evaluation.reports.markdown import percent

    first, *others = values
    return [percent(first), *(f"{percent(value)} {_gain(value, first)}" for value in others)]


def _gain(value: float | None, first: float | None) -> str:
    return "" if value is None or first is None else f"({100 * (value - first):+.1f})"


def _table(title: str, names: Sequence[str], rows: Mapping[str, Sequence[str]]) -> Table:
    table = Table(box=box.SIMPLE, title=title, title_justify="left")
    table.add_column("")
    for name in names:
        table.add_column(escape(name), justify="right", overflow="fold")
    for name, cells in rows.items():
        table.add_row(escape(name), *map(escape, cells))
    return table
