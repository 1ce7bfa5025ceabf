"""`groupvit calibrate`: background thresholds from images."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from groupvit.cli import json_file
from groupvit.cli.benchmarks import ROOT, check_masks, open_benchmark
from groupvit.cli.inputs import images_of
from groupvit.cli.models import load_model, warn_of_unknown_words
from groupvit.cli.options import Flag, ModelOptions, Words
from groupvit.progress import counted
from groupvit.text.background import Background
from groupvit.text.prompts import parse_labels

if TYPE_CHECKING:
    from groupvit.background.calibration import Calibration
    from groupvit.model.groupvit import GroupViT
    from groupvit.segmentation.segmenter import Segmenter

BAR_LENGTH = 40
"""Length of the longest bar of the curve [characters]."""
USE = "use it with groupvit segment --background auto --model {}"
"""Hint for a model that was written."""
Source = tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="BENCHMARK_OR_IMAGES")]]


def calibrate(
    source: Source,
    /,
    options: Annotated[ModelOptions, tyro.conf.arg(name="")],
    *,
    labels: Words = (),
    root: Path = ROOT,
    mask_values: Words = (),
    mask_orientation: Literal["upright", "file"] | None = None,
    scenes: int = 40,
    out: Path | None = None,
    save_model: Path | None = None,
    overwrite: Flag = False,
) -> int:
    """Calibrate background thresholds of a model.

    A few dozen images with masks give one threshold for all labels, and one for each label that
    enough images show. Images without masks, with --labels, give one threshold for all labels,
    which separates certain from uncertain pixels best; some images should show the labels, and
    some should not. groupvit learn-background learns a threshold for every part of an image
    instead.

    Args:
        source: A benchmark with a background, as for groupvit evaluate; or, with --labels, a folder
            of images.
        options: Model and protocol.
        labels: Labels, for images without masks.
        root: Folder of published benchmarks.
        mask_values: Classes of the values in the masks of a folder, where they are not line
            numbers: 0=background 255=tree, ranges such as 1-20=cat (the classes from cat on),
            colors such as ff0000=tree, voc or ade (the colors of PASCAL VOC, ADE20K), 0=ignored.
        mask_orientation: Orientation of the masks of a folder whose images have an EXIF
            orientation, where their size does not show it: upright, as drawn on the image as seen,
            or file, as drawn on the pixels as stored.
        scenes: Number of drawn scenes of storybook-things, none of which groupvit evaluate uses.
        out: JSON file for the thresholds, for --background-file of groupvit segment and evaluate;
            background.json unless the model is saved.
        save_model: Folder for the model with its thresholds, which groupvit segment --background
            auto and groupvit evaluate use.
        overwrite: Replace existing files and folders.
    """
    from groupvit.background.calibration import calibrate as calibrate_with_masks
    from groupvit.background.calibration import calibrate_without_masks
    from groupvit.weights import checkpoint

    console = Console(highlight=False, soft_wrap=True)
    if out is None and save_model is None:
        out = Path("background.json")
    json_file.check(out, overwrite=overwrite)
    if save_model is not None:
        checkpoint.check_free(save_model, overwrite=overwrite)
    masks_line = ""
    if labels:
        parse_labels(labels)  # refuse bad labels before anything is loaded
        images = images_of([source])
    else:
        benchmark = open_benchmark(
            source, root, scenes, mask_values, mask_orientation, for_calibration=True
        )
        masks_line = check_masks(benchmark)
    load = partial(options.segmenter, benchmark="" if labels else benchmark.key)
    segmenter = load_model(console, options.model, load)
    if labels:
        warn_of_unknown_words(console, segmenter, labels)
    with counted("images") as progress:
        if labels:
            found = calibrate_without_masks(segmenter, images, labels, on_progress=progress)
        else:
            found = calibrate_with_masks(segmenter, benchmark, on_progress=progress)
    console.print(_table(found, segmenter.certainty))
    if masks_line:
        console.print(masks_line, markup=False)
    if found.curve:
        console.print(_curve(found))
    if out is not None:
        values = {"certainty": segmenter.certainty, "model": options.model, "source": source}
        json_file.write(out, values | asdict(found))
        console.print(f"wrote {out}; use it with --background-file {out}", markup=False)
    if save_model is not None:
        background = Background(
            threshold=found.threshold, thresholds=found.thresholds, certainty=segmenter.certainty
        )
        save(save_model, segmenter, segmenter.model, background, overwrite=overwrite)
        console.print(f"wrote {save_model}; {USE.format(save_model)}", markup=False)
    return 0


def save(
    folder: Path,
    segmenter: "Segmenter",
    model: "GroupViT",
    background: Background | None = None,
    *,
    overwrite: bool,
) -> None:
    """Write a model, with background thresholds if there are any."""
    from groupvit.weights import checkpoint
    from groupvit.weights.checkpoint import Origin

    checkpoint.save(
        folder,
        model,
        segmenter.origin or Origin(source="a model in memory"),
        inference=segmenter.inference,
        background=background,
        coverage=segmenter.coverage,
        overwrite=overwrite,
    )


def _table(found: "Calibration", certainty: str) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("background below", f"[bold]{found.threshold:.3f}[/] ({certainty})")
    for label, threshold in found.thresholds.items():
        table.add_row(escape(label), f"{threshold:.3f}")
    table.add_row("calibrated on", f"{found.num_images:,} images")
    if found.miou is not None:
        table.add_row("mIoU on these images", f"{100 * found.miou:.1f} %")
    return table


def _curve(found: "Calibration") -> Table:
    """Table of the mIoU by threshold, where it changes."""
    best = max(miou for _, miou in found.curve)
    changing = [
        (threshold, miou)
        for (_, before), (threshold, miou), (_, after) in zip(
            found.curve, found.curve[1:], found.curve[2:], strict=False
        )
        if not before == miou == after
    ]
    table = Table(title="mIoU by one threshold for all labels [%]", box=None, title_justify="left")
    for name in ("below", "mIoU", ""):
        table.add_column(name, justify="left" if not name else "right")
    for threshold, miou in changing:
        bar = "\u2588" * round(BAR_LENGTH * miou / best)
        table.add_row(f"{threshold:.2f}", f"{100 * miou:.1f}", bar)
    return table
