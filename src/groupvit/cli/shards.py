"""Segmentation of shards, for `groupvit segment` with one of the formats of shards."""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from rich.console import Console

from groupvit import storage
from groupvit.bulk import engines, ray_engine, run, shards
from groupvit.bulk.engines import Engine, Part
from groupvit.bulk.run import Summary
from groupvit.bulk.shards import Shard
from groupvit.bulk.worker import Job
from groupvit.cli.background import BackgroundOptions
from groupvit.cli.images import ALL_FAILED, SOME_FAILED
from groupvit.cli.inputs import report_skipped
from groupvit.cli.models import load_model, warn_of_unknown_words
from groupvit.cli.options import ModelOptions
from groupvit.cli.streams import escaped
from groupvit.errors import InputError
from groupvit.formats import ShardFormat
from groupvit.progress import counted
from groupvit.segmentation.manifest import Manifest, settings_of
from groupvit.segmentation.segmenter import Segmenter
from groupvit.weights.catalogue import BUNDLED

_NAMED = 8
"""Shards that are named in messages."""
Workers = int | Literal["ray"]


def segment_shards(
    sources: Sequence[str],
    options: ModelOptions,
    *,
    labels: tuple[str, ...],
    background: BackgroundOptions,
    top_labels: int | Literal["all"] | None,
    out: str,
    output: ShardFormat,
    workers: Workers,
    shard_size: int,
) -> int:
    """Segment the shards that have no result yet, and print a summary; returns the exit code.

    Raises:
        InputError: A source, an option or the model is wrong, or `out` holds other results.
    """
    console = Console(highlight=False, soft_wrap=True)
    if workers != "ray" and workers < 1:
        raise InputError(f"--workers is {workers}; give at least 1, or ray")
    part = engines.part_of(os.environ)
    out = storage.absolute(out)
    found = shards.find(sources, shard_size=shard_size, out=out)
    report_skipped(found.skipped)
    if found.missing:
        sys.stderr.write(f"groupvit: {_named(found.missing)} of the sources do not exist\n")
    if output == "parquet":
        storage.parquet()  # missing now rather than after the first shard
    options = _independent_of_folder(options)
    gpu = engines.gpu(int(os.environ.get("LOCAL_RANK", 0))) if workers == 1 else None
    segmenter = load_model(console, options.model, partial(_load, options, gpu))
    warn_of_unknown_words(console, segmenter, labels, *background.words)
    resolved = background.resolve(labels, segmenter.default_background)
    settings = settings_of(
        segmenter, labels, background=resolved, top_labels=top_labels, output=[output]
    )
    inputs = {shard.name: shard.state for shard in found.shards}
    todo = run.begin(out, Manifest(settings=settings, inputs=inputs), part.of(found.shards))
    _print_plan(console, part, len(part.of(found.shards)), todo)
    job = Job(
        load=partial(_load, options),
        labels=labels,
        background=resolved,
        top_labels=top_labels,
        out=out,
        output=output,
    )
    start = time.perf_counter()
    with counted("shards") as progress:
        engine, job = _engine(job, workers, segmenter)
        summary = run.segment(job, todo, engine, on_progress=progress)
    _print_summary(console, summary, time.perf_counter() - start, out)
    if not summary.errors and not summary.num_failed:
        return 0
    return SOME_FAILED if summary.num_shards or len(todo) < len(inputs) else ALL_FAILED


def _load(options: ModelOptions, device: str | None = None) -> Segmenter:
    return options.segmenter(device=device)


def _independent_of_folder(options: ModelOptions) -> ModelOptions:
    """The same options for processes with another working folder."""
    path = Path(options.model).expanduser()
    is_path = options.model not in BUNDLED and path.exists()
    return replace(options, model=str(path.absolute())) if is_path else options


def _engine(job: Job, workers: Workers, segmenter: Segmenter) -> tuple[Engine, Job]:
    """The engine, and the job for it: one worker takes the model that is loaded already."""
    if workers == "ray":
        return ray_engine.run, job
    if workers == 1:
        return engines.here, replace(job, load=lambda _: segmenter)
    return partial(engines.processes, workers=workers), job


def _print_plan(console: Console, part: Part, number: int, todo: Sequence[Shard]) -> None:
    of_part = f" of part {part.number + 1} of {part.num_parts}" if part.num_parts > 1 else ""
    before = f", {number - len(todo):,} of them done before" if len(todo) < number else ""
    console.print(f"{number:,} shards{of_part}{before}")


def _print_summary(console: Console, summary: Summary, seconds: float, out: str) -> None:
    if summary.num_shards:
        rate = summary.num_images / seconds
        waiting = summary.waiting / max(summary.seconds, 1e-9)
        console.print(
            f"{summary.num_images:,} images of {summary.num_shards:,} shards in {seconds:.1f} s "
            f"({rate:.1f}/s, {waiting:.1%} of the time spent on reading); wrote to {out}",
            markup=False,
        )
    if summary.num_failed:
        console.print(f"[yellow]{summary.num_failed:,} images have an error instead of masks[/]")
    for name, error in summary.errors.items():
        shown = "" if name in error else f"{name}: "
        sys.stderr.write(f"groupvit: {escaped(shown + error)}\n")


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{len(names):,} ({', '.join(names[:_NAMED])}{more})"
