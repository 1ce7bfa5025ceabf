"""`groupvit evaluate`: how well a model segments a folder of pictures with masks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from groupvit.cli import json_file
from groupvit.cli.options import Flag, ModelOptions, warn_if_untrained

if TYPE_CHECKING:
    from rich.table import Table

    from groupvit.evaluation.evaluate import Evaluation
    from groupvit.segmentation.segmenter import Segmenter


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
    is what the words lose. Where patches take the words, at all levels, the score is not bound by
    the groups of the last stage, and may pass their oracle.

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

    from groupvit.evaluation.evaluate import evaluate as run
    from groupvit.evaluation.folder import Folder
    from groupvit.evaluation.report import report
    from groupvit.progress import counted

    console = Console(highlight=False, soft_wrap=True)
    json_file.check(out, overwrite=overwrite)
    benchmark = Folder.read(folder)
    with console.status(f"loading {options.model}"):
        segmenter = options.segmenter()
    warn_if_untrained(console, segmenter.origin)
    with counted("pictures") as progress:
        found = run(
            segmenter,
            benchmark,
            limit=limit,
            background_threshold=background_threshold,
            on_progress=progress,
        )
    console.print(class_table(found), summary(found))
    console.print(_conditions(segmenter), markup=False)
    if out is not None:
        threshold = {"background_threshold": background_threshold}
        values = {"model": options.model, **threshold, **report(found, segmenter, benchmark)}
        json_file.write(out, values)
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


def _conditions(segmenter: "Segmenter") -> str:
    from groupvit.evaluation.report import deviations

    protocol = segmenter.protocol
    changes = ", ".join(map(str, deviations(protocol)))
    named = f"protocol {protocol.name}" + (f", but {changes}" if changes else "")
    return f"{named}; words are taken by {segmenter.naming}"
