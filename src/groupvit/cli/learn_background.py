"""`groupvit learn-background`: how near a word must be to a part of an image to be seen there."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from groupvit.cli.benchmarks import ROOT, open_benchmark
from groupvit.cli.calibrate import USE, save
from groupvit.cli.models import load_model
from groupvit.cli.options import Flag, ModelOptions
from groupvit.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from groupvit.evaluation.benchmarks.benchmark import Benchmark
    from groupvit.evaluation.learned_background import Learned
    from groupvit.segmentation.segmenter import Segmenter

Source = tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="SHARDS|BENCHMARK")]]
Folder = tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="FOLDER")]]


def learn_background(
    source: Source,
    out: Folder,
    /,
    options: Annotated[ModelOptions, tyro.conf.arg(name="")],
    *,
    pairs: int = 500,
    root: Path = ROOT,
    scenes: int = 40,
    overwrite: Flag = False,
) -> int:
    """Teach a model where its background begins, from captions alone, or from masks.

    A small layer learns how near a word must be to a part of an image to be seen there; the rest
    of the model stays as it is. Some hundreds of images with captions are enough, and no mask is
    needed (their nouns are found by the extra "train"); or a few dozen with masks. It takes about
    a minute.

    Args:
        source: Tar shards of images and captions, "pairs/train-{000000..000003}.tar"; or images
            with masks, as groupvit evaluate takes them, with a background.
        out: Folder for the model with its background.
        options: Which model, and how it looks at images.
        pairs: How many pairs of the shards are looked at, evenly spread.
        root: Folder in which published benchmarks lie.
        scenes: How many scenes are drawn for storybook-things, of a storybook of their own.
        overwrite: Replace that folder if it exists.
    """
    from rich.console import Console

    from groupvit.weights import checkpoint

    console = Console(highlight=False, soft_wrap=True)
    checkpoint.check_free(out, overwrite=overwrite)
    if pairs < 1:
        raise InputError(f"--pairs is {pairs}; give at least 1")
    if source.endswith(".tar"):
        segmenter, found = _by_captions(source, options, console, pairs)
    else:
        benchmark = open_benchmark(source, root, (None, None, None), scenes, calibrates=True)
        segmenter, found = _by_masks(benchmark, options, console)
    console.print(_table(found))
    save(out, found.model, segmenter.origin, overwrite=overwrite)
    console.print(f"wrote {out}; {USE.format(out)}", markup=False)
    return 0


def _by_captions(
    source: str, options: ModelOptions, console: "Console", pairs: int
) -> tuple["Segmenter", "Learned"]:
    from groupvit.data import index, patterns
    from groupvit.evaluation.learned_background import by_captions
    from groupvit.progress import counted

    with counted("shards indexed") as progress:
        shards = index.prepare(patterns.expand([source]), None, progress=progress)
    segmenter = _load(options, console)
    with counted("images") as progress:
        return segmenter, by_captions(segmenter, shards, num_pairs=pairs, on_progress=progress)


def _by_masks(
    benchmark: "Benchmark", options: ModelOptions, console: "Console"
) -> tuple["Segmenter", "Learned"]:
    from groupvit.evaluation.learned_background import by_masks
    from groupvit.progress import counted

    segmenter = _load(options, console, benchmark.key)
    with counted("images") as progress:
        return segmenter, by_masks(segmenter, benchmark, on_progress=progress)


def _load(options: ModelOptions, console: "Console", benchmark: str = "") -> "Segmenter":
    return load_model(console, options.model, partial(options.segmenter, benchmark=benchmark))


def _table(found: "Learned") -> "Table":
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("learned from", f"{found.num_examples:,} parts of images")
    table.add_row("a word that was asked for", f"is in {100 * found.there:.0f} % of them")
    table.add_row("told rightly", f"{100 * found.accuracy:.1f} %, with and without a word alike")
    return table
