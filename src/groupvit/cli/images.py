"""Segmentation of image files, for `groupvit segment` and `groupvit groups`."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from rich.console import Console

from groupvit.cli.background import BackgroundOptions
from groupvit.cli.downloads import downloaded
from groupvit.cli.image_labels import read_labels
from groupvit.cli.inputs import report_skipped
from groupvit.cli.models import load_model, warn_of_unknown_words
from groupvit.cli.options import ModelOptions
from groupvit.cli.streams import escaped
from groupvit.formats import Format
from groupvit.progress import counted
from groupvit.segmentation import resuming
from groupvit.segmentation.folder import Outputs, segment_files
from groupvit.segmentation.manifest import Manifest, settings_of
from groupvit.segmentation.segmenter import Segmenter

SOME_FAILED, ALL_FAILED = 1, 2
"""Exit codes."""


def segment_images(
    images: Sequence[str],
    options: ModelOptions,
    *,
    labels: tuple[str, ...],
    labels_from: Path | None = None,
    background: BackgroundOptions,
    top_labels: int | Literal["all"] | None,
    out: Path,
    formats: Sequence[Format],
    allow_url: bool,
    overwrite: bool,
) -> int:
    """Segment images and print a summary and the images that failed; returns the exit code.

    Raises:
        InputError: A path, an option or the model is wrong; then nothing was written.
    """
    with downloaded(images, allow_url=allow_url) as paths:
        before = None if overwrite else resuming.read(out)
        begun = () if before is None else before.inputs
        outputs = Outputs(paths, out, formats=formats, overwrite=overwrite, begun=begun)
        return _segment(
            outputs,
            options,
            before=before,
            labels=labels,
            labels_from=labels_from,
            background=background,
            top_labels=top_labels,
            formats=formats,
            overwrite=overwrite,
        )


def _segment(
    outputs: Outputs,
    options: ModelOptions,
    *,
    before: Manifest | None,
    labels: tuple[str, ...],
    labels_from: Path | None,
    background: BackgroundOptions,
    top_labels: int | Literal["all"] | None,
    formats: Sequence[Format],
    overwrite: bool,
) -> int:
    console = Console(highlight=False, soft_wrap=True)
    of_images = {} if labels_from is None else read_labels(labels_from, outputs.images)
    labels = labels or tuple(dict.fromkeys(one for some in of_images.values() for one in some))
    segmenter = load_model(console, options.model, options.segmenter)
    if options.dtype == "bfloat16" and _lacks_bfloat16(segmenter):
        console.print("[yellow]this processor has no bfloat16 arithmetic; float32 is faster[/]")
    if labels:
        warn_of_unknown_words(console, segmenter, labels, *background.words)
    resolved = background.resolve(labels, segmenter.default_background)
    # Where files of another run are replaced one by one, existing files prove nothing.
    if overwrite or len(outputs.images) == 1:
        mark = resuming.unmarked(outputs)
    else:
        settings = settings_of(
            segmenter, labels, background=resolved, top_labels=top_labels, output=formats
        )
        if of_images:
            settings["labels_from"] = {one.name.as_posix(): of for one, of in of_images.items()}
        manifest = Manifest(settings=settings, inputs=resuming.inputs(outputs))
        mark = resuming.marked(outputs, manifest, before)
    start, present = time.perf_counter(), len(outputs.images) - len(outputs.remaining)
    with mark, counted("images") as progress:
        report = segment_files(
            segmenter,
            outputs,
            of_images or labels,
            background=resolved,
            top_labels=top_labels,
            on_progress=progress,
        )
    if present:
        console.print(f"{present:,} images were done before the interruption")
    if report.last is not None and len(outputs.images) == 1:
        console.print(str(report.last), markup=False)
    if outputs.written:
        num_done = report.num_done - present
        console.print(_summary(num_done, outputs, time.perf_counter() - start), markup=False)
    report_skipped(outputs.skipped)
    for path, reason in report.failed.items():
        shown = "" if str(path) in reason else f"{path}: "
        sys.stderr.write(f"groupvit: {escaped(shown + reason)}\n")
    if not report.failed:
        return 0
    return SOME_FAILED if report.num_done else ALL_FAILED


def _lacks_bfloat16(segmenter: Segmenter) -> bool:
    older = {"DEFAULT", "AVX2"}
    return segmenter.device.type == "cpu" and torch.backends.cpu.get_cpu_capability() in older


def _summary(num_done: int, outputs: Outputs, seconds: float) -> str:
    if num_done == 1:
        return "wrote " + ", ".join(map(str, outputs.written))
    rate = f"{num_done} images in {seconds:.1f} s ({num_done / seconds:.1f}/s)"
    return f"{rate}; wrote {len(outputs.written)} files to {outputs.folder}"
