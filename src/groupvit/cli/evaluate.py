"""`groupvit evaluate`: how well a model segments a folder of pictures with masks."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from groupvit.cli.options import Flag, ModelOptions
from groupvit.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from groupvit.evaluation.evaluate import Evaluation
    from groupvit.segmentation.protocol import Protocol


def evaluate(
    folder: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="FOLDER")]],
    /,
    options: Annotated[ModelOptions, tyro.conf.arg(name="")],
    *,
    limit: int | None = None,
    background_threshold: float | None = None,
    out: Path | None = None,
    overwrite: Flag = False,
) -> int:
    """Score a model on pictures with masks: IoU of every class, mIoU, and what the groups allow.

    The oracle is the score that the groups would have if each took the right word; the gap to it
    is what the words lose.

    Args:
        folder: Holds images/, masks/ (PNG of the same names; values are line numbers from 0, 255
            does not count) and classes.txt (a name in each line, synonyms with |).
        options: Which model, and how it looks at pictures.
        limit: Only the first pictures, by name.
        background_threshold: Groups that score below this, in [0, 1], are background; for folders
            whose first class is called background.
        out: A JSON file for the scores.
        overwrite: Replace that file if it exists.
    """
    from rich.console import Console

    from groupvit.cli.progress import bar
    from groupvit.evaluation.evaluate import evaluate as run
    from groupvit.evaluation.folder import Folder
    from groupvit.evaluation.report import report

    console = Console(highlight=False, soft_wrap=True)
    _check_out(out, overwrite=overwrite)
    benchmark = Folder.read(folder)
    with console.status(f"loading {options.model}"):
        segmenter = options.segmenter()
    if segmenter.origin and not segmenter.origin.trained:
        console.print("[yellow]this model is untrained: the words it gives mean nothing[/]")
    with bar("pictures") as progress:
        found = run(
            segmenter,
            benchmark,
            limit=limit,
            background_threshold=background_threshold,
            on_progress=progress,
        )
    console.print(class_table(found), summary(found))
    console.print(_conditions(segmenter.protocol), markup=False)
    if out is not None:
        threshold = {"background_threshold": background_threshold}
        values = {"model": options.model, **threshold, **report(found, segmenter, benchmark)}
        _write(out, json.dumps(values, ensure_ascii=False, indent=2) + "\n")
        console.print(f"wrote {out}", markup=False)
    return 0


def class_table(evaluation: "Evaluation") -> "Table":
    """The IoU of every class, that of its oracle, and the gap."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE, title="IoU by class [%]", title_justify="left")
    table.add_column("class")
    for name in ("IoU", "oracle", "gap"):
        table.add_column(name, justify="right")
    scores, oracle = evaluation.scores, evaluation.oracle
    for label, iou, best in zip(scores.labels, scores.iou, oracle.iou, strict=True):
        gap = None if iou is None or best is None else best - iou
        table.add_row(escape(label), *map(_percent, (iou, best, gap)))
    table.add_section()
    means = (scores.miou, oracle.miou, oracle.miou - scores.miou)
    table.add_row("mean", *map(_percent, means), style="bold")
    return table


def summary(evaluation: "Evaluation") -> "Table":
    """What all pictures come to, in a few lines."""
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2))
    scores = evaluation.scores
    table.add_row("mIoU", f"[bold]{_percent(scores.miou)} %[/]")
    stages = zip(evaluation.oracles, evaluation.groups_used, strict=True)
    for number, (oracle, used) in enumerate(stages, start=1):
        groups = f"{used:.1f} groups in use in a picture"
        table.add_row(f"oracle of stage {number}", f"{_percent(oracle.miou)} %, {groups}")
    table.add_row("mean accuracy", f"{_percent(scores.mean_accuracy)} %")
    table.add_row("pixel accuracy", f"{_percent(scores.pixel_accuracy)} %")
    rate = evaluation.num_pictures / evaluation.seconds
    pictures = f"{evaluation.num_pictures:,} in {evaluation.seconds:.1f} s ({rate:.1f}/s)"
    table.add_row("pictures", pictures)
    return table


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _conditions(protocol: "Protocol") -> str:
    from groupvit.evaluation.report import deviations

    changes = ", ".join(map(str, deviations(protocol)))
    return f"protocol {protocol.name}" + (f", but {changes}" if changes else "")


def _check_out(out: Path | None, *, overwrite: bool) -> None:
    """Refuse, before the work, what could not be written after it."""
    if out is None:
        return
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; name a file in it, such as {out}/scores.json")
    if out.exists() and not overwrite:
        raise InputError(f"{out} would be overwritten; choose another --out or pass --overwrite")
    if not out.absolute().parent.is_dir():
        raise InputError(f"--out {out} lies in a folder that does not exist; make it first")


def _write(out: Path, text: str) -> None:
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror or error}") from error
