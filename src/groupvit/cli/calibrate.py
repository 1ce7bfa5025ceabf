"""`groupvit calibrate`: where the background begins, told by images."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from groupvit.cli import json_file
from groupvit.cli.benchmarks import ROOT, open_benchmark
from groupvit.cli.models import load_model
from groupvit.cli.options import Flag, ModelOptions, Words

if TYPE_CHECKING:
    from rich.table import Table

    from groupvit.evaluation.calibration import Calibration
    from groupvit.model.groupvit import GroupViT
    from groupvit.text.background import Background
    from groupvit.weights.checkpoint import Origin

WIDEST = 40
"""Characters of the longest bar of the curve."""
USE = "use it with groupvit segment --background auto --model {}"
"""What to do with a model that was written."""
Source = tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="BENCHMARK_OR_IMAGES")]]


def calibrate(
    source: Source,
    /,
    options: Annotated[ModelOptions, tyro.conf.arg(name="")],
    *,
    labels: Words = (),
    root: Path = ROOT,
    scenes: int = 40,
    out: Path | None = None,
    save_model: Path | None = None,
    overwrite: Flag = False,
) -> int:
    """Find thresholds of the background.

    From images with masks, a few dozen, come a threshold for all labels and one for each that
    enough of them show. From images alone, with --labels, comes one for all labels: that which
    parts certain from uncertain pixels best; some images should show the labels, some not.
    groupvit learn-background teaches the model instead how near a word must be, part by part.

    Args:
        source: As groupvit evaluate takes it, with a background; or, with --labels, a folder of
            images.
        options: Which model, and how it looks at images.
        labels: What is asked for, where there are no masks.
        root: Folder in which published benchmarks lie.
        scenes: How many scenes are drawn for storybook-things, of a storybook of their own.
        out: A JSON file for them, for groupvit segment and evaluate --background-file;
            background.json unless the model is saved.
        save_model: Folder for the model together with them, which groupvit segment --background
            auto, and evaluate, then use.
        overwrite: Replace what exists of these two.
    """
    from dataclasses import asdict

    from rich.console import Console

    from groupvit import image_files
    from groupvit.evaluation.calibration import calibrate as by_masks
    from groupvit.evaluation.calibration import calibrate_blindly
    from groupvit.progress import counted
    from groupvit.text.background import Background
    from groupvit.text.prompts import parse_labels
    from groupvit.weights import checkpoint

    console = Console(highlight=False, soft_wrap=True)
    if out is None and save_model is None:
        out = Path("background.json")
    json_file.check(out, overwrite=overwrite)
    if save_model is not None:
        checkpoint.check_free(save_model, overwrite=overwrite)
    if labels:
        parse_labels(labels)  # refuse bad words before anything is loaded
        images = [found.path for found in image_files.find([source])]
    else:
        benchmark = open_benchmark(source, root, (None, None, None), scenes, calibrates=True)
    load = partial(options.segmenter, benchmark="" if labels else benchmark.key)
    segmenter = load_model(console, options.model, load)
    with counted("images") as progress:
        if labels:
            found = calibrate_blindly(segmenter, images, labels, on_progress=progress)
        else:
            found = by_masks(segmenter, benchmark, on_progress=progress)
    console.print(_table(found, segmenter.certainty))
    if found.curve:
        console.print(_curve(found))
    if out is not None:
        told = {"certainty": segmenter.certainty, "model": options.model, "source": source}
        json_file.write(out, told | asdict(found))
        console.print(f"wrote {out}; use it with --background-file {out}", markup=False)
    if save_model is not None:
        behind = Background(
            threshold=found.threshold, thresholds=found.thresholds, certainty=segmenter.certainty
        )
        save(save_model, segmenter.model, segmenter.origin, behind, overwrite=overwrite)
        console.print(f"wrote {save_model}; {USE.format(save_model)}", markup=False)
    return 0


def save(
    folder: Path,
    model: "GroupViT",
    origin: "Origin | None",
    background: "Background | None" = None,
    *,
    overwrite: bool,
) -> None:
    """Write a model with its background, whoever made it."""
    from groupvit.weights import checkpoint
    from groupvit.weights.checkpoint import Origin

    origin = origin or Origin(source="a model in memory")
    checkpoint.save(folder, model, origin, background=background, overwrite=overwrite)


def _table(found: "Calibration", certainty: str) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("background below", f"[bold]{found.threshold:.3f}[/] ({certainty})")
    for label, threshold in found.thresholds.items():
        table.add_row(escape(label), f"{threshold:.3f}")
    table.add_row("told by", f"{found.num_images:,} images")
    if found.miou is not None:
        table.add_row("mIoU on them", f"{100 * found.miou:.1f} %")
    return table


def _curve(found: "Calibration") -> "Table":
    """The mIoU over the threshold, where it changes."""
    from rich.table import Table

    best = max(miou for _, miou in found.curve)
    changing = [
        (threshold, miou)
        for (_, before), (threshold, miou), (_, after) in zip(
            found.curve, found.curve[1:], found.curve[2:], strict=False
        )
        if not before == miou == after
    ]
    table = Table(
        title="mIoU over one threshold for all labels [%]", box=None, title_justify="left"
    )
    for name in ("below", "mIoU", ""):
        table.add_column(name, justify="left" if not name else "right")
    for threshold, miou in changing:
        bar = "\u2588" * round(WIDEST * miou / best)
        table.add_row(f"{threshold:.2f}", f"{100 * miou:.1f}", bar)
    return table
