"""Works through images: progress, files, and a report of the images that could not be done."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from rich.console import Console

from groupvit import imaging
from groupvit.cli.background import BackgroundOptions
from groupvit.cli.options import ModelOptions, warn_if_untrained
from groupvit.cli.outputs import Outputs
from groupvit.errors import InputError
from groupvit.imaging import Found
from groupvit.progress import bar
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.result import Segmentation
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background

SOME_FAILED, ALL_FAILED = 1, 2


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is wanted of every image."""

    labels: tuple[str, ...]
    """Words to find; none: only the groups."""
    background: BackgroundOptions = field(default_factory=BackgroundOptions)
    """What belongs to no label."""
    top_labels: int | Literal["all"] | None = None
    """At most this many labels for each window; None: as many as the protocol says."""
    out: Path
    """Folder for what is written."""
    formats: tuple[str, ...]
    """What is written for each image."""
    overwrite: bool
    """Whether files that exist are replaced."""


@dataclass(kw_only=True)
class Report:
    """What became of the images."""

    done: int = 0
    failed: dict[Path, str] = field(default_factory=dict)
    last: Segmentation | None = None

    @property
    def exit_code(self) -> int:
        """0: all done; 1: some failed; 2: none could be done."""
        if not self.failed:
            return 0
        return SOME_FAILED if self.done else ALL_FAILED


def work_through(paths: Sequence[str], options: ModelOptions, request: Request) -> int:
    """Do every image that can be done, then say which could not; returns the exit code.

    Raises:
        InputError: A path, an option or the model is wrong; then nothing was written.
    """
    console = Console(highlight=False, soft_wrap=True)
    found = imaging.find(paths)
    outputs = Outputs(found, request.out, request.formats, overwrite=request.overwrite)
    with console.status(f"loading {options.model}"):
        segmenter = options.segmenter()
    if options.dtype == "bfloat16" and _lacks_bfloat16(segmenter):
        console.print("[yellow]this processor has no bfloat16 arithmetic; float32 is faster[/]")
    warn_if_untrained(console, segmenter.origin)
    start = time.perf_counter()
    try:
        report = _work(segmenter, found, outputs, request, console)
    finally:  # what was done before a full disk or a stop is kept
        outputs.finish()
    seconds = time.perf_counter() - start
    if report.last is not None and len(found) == 1:
        console.print(str(report.last), markup=False)
    if report.done:
        console.print(_summary(report.done, seconds, outputs, request.out), markup=False)
    for path, reason in report.failed.items():
        shown = "" if str(path) in reason else f"{path}: "
        sys.stderr.write(f"groupvit: {shown}{reason}\n")
    return report.exit_code


def _lacks_bfloat16(segmenter: Segmenter) -> bool:
    older = {"DEFAULT", "AVX2"}
    return segmenter.device.type == "cpu" and torch.backends.cpu.get_cpu_capability() in older


def _summary(done: int, seconds: float, outputs: Outputs, out: Path) -> str:
    if done == 1:
        return "wrote " + ", ".join(map(str, outputs.written))
    rate = f"{done} images in {seconds:.1f} s ({done / seconds:.1f}/s)"
    return f"{rate}; wrote {len(outputs.written)} files to {out}"


def _work(
    segmenter: Segmenter,
    found: Sequence[Found],
    outputs: Outputs,
    request: Request,
    console: Console,
) -> Report:
    report = Report()
    behind = request.background.among(request.labels, segmenter.usual_background)
    with bar("images", console) as progress:
        task = progress.add_task("images", total=len(found))
        for batch in _batches(found, segmenter.batch_size):
            for image, grouped in _grouped(segmenter, batch, report):
                result = _labeled(segmenter, grouped, request, behind)
                outputs.write(image, grouped, result)
                report.done, report.last = report.done + 1, result
                progress.update(task, completed=report.done + len(report.failed))
            progress.update(task, completed=report.done + len(report.failed))
    return report


def _batches(found: Sequence[Found], size: int) -> Iterator[list[Found]]:
    rest = iter(found)
    while batch := list(islice(rest, size)):
        yield batch


def _grouped(
    segmenter: Segmenter, batch: Iterable[Found], report: Report
) -> Iterator[tuple[Found, GroupedImage]]:
    """The groups of those images that can be read; the others go into the report."""
    readable: list[tuple[Found, UInt8[np.ndarray, "height width 3"]]] = []
    for image in batch:
        try:
            readable.append((image, imaging.read(image.path)))
        except InputError as error:
            report.failed[image.path] = str(error)
    with suppress(InputError):  # one that the protocol refuses must not take the others along
        grouped = segmenter.group([pixels for _, pixels in readable])
        yield from zip((image for image, _ in readable), grouped, strict=True)
        return
    for image, pixels in readable:
        try:
            yield image, segmenter.group([pixels])[0]
        except InputError as error:
            report.failed[image.path] = str(error)


def _labeled(
    segmenter: Segmenter, grouped: GroupedImage, request: Request, behind: Background | None
) -> Segmentation | None:
    if not request.labels:
        return None
    return segmenter.label(
        grouped, request.labels, background=behind, top_labels=request.top_labels
    )
