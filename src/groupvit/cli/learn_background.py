"""`groupvit learn-background`: a background layer, learned for an existing model."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from groupvit.cli.benchmarks import ROOT, check_masks, open_benchmark
from groupvit.cli.calibrate import USE, save
from groupvit.cli.models import load_model
from groupvit.cli.options import Flag, ModelOptions, Words
from groupvit.errors import InputError
from groupvit.progress import counted

if TYPE_CHECKING:
    from groupvit.background.learned_layer import LearnedLayer
    from groupvit.evaluation.benchmarks.benchmark import Benchmark
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
    mask_values: Words = (),
    mask_orientation: Literal["upright", "file"] | None = None,
    scenes: int = 40,
    overwrite: Flag = False,
) -> int:
    """Learn a background layer for a model, from captions alone or from masks.

    A small layer learns the cosine that a label must exceed at every part of an image; the rest of
    the model does not change. A few hundred images with captions are enough (their nouns need
    pip install "groupvit[train]"), or a few dozen images with masks. It takes about a minute.

    Args:
        source: Tar shards of image-caption pairs, "pairs/train-{000000..000003}.tar"; or a
            benchmark with a background, as for groupvit evaluate.
        out: Folder for the model with the layer.
        options: Model and protocol.
        pairs: Number of pairs of the shards to use, evenly spread.
        root: Folder of published benchmarks.
        mask_values: Classes of the values in the masks of a folder, where they are not line
            numbers: 0=background 255=tree, ranges such as 1-20=cat (the classes from cat on),
            colors such as ff0000=tree, voc or ade (the colors of PASCAL VOC, ADE20K), 0=ignored.
        mask_orientation: Orientation of the masks of a folder whose images have an EXIF
            orientation, where their size does not show it: upright, as drawn on the image as seen,
            or file, as drawn on the pixels as stored.
        scenes: Number of drawn scenes of storybook-things, none of which groupvit evaluate uses.
        overwrite: Replace an existing folder.
    """
    from groupvit.weights import checkpoint

    console = Console(highlight=False, soft_wrap=True)
    checkpoint.check_free(out, overwrite=overwrite)
    if pairs < 1:
        raise InputError(f"--pairs is {pairs}; give at least 1")
    masks_line = ""
    if source.endswith(".tar"):
        segmenter, found = _from_captions(source, options, console, pairs)
    else:
        benchmark = open_benchmark(
            source, root, scenes, mask_values, mask_orientation, for_calibration=True
        )
        masks_line = check_masks(benchmark)
        segmenter, found = _from_masks(benchmark, options, console)
    console.print(_table(found))
    if masks_line:
        console.print(masks_line, markup=False)
    save(out, segmenter, found.model, overwrite=overwrite)
    console.print(f"wrote {out}; {USE.format(out)}", markup=False)
    return 0


def _from_captions(
    source: str, options: ModelOptions, console: Console, pairs: int
) -> tuple["Segmenter", "LearnedLayer"]:
    from groupvit.background.learned_layer import learn_from_captions
    from groupvit.data import index, patterns

    with counted("shards indexed") as progress:
        shards = index.prepare(patterns.expand([source]), None, on_progress=progress)
    segmenter = _load(options, console)
    with counted("images") as progress:
        learned = learn_from_captions(segmenter, shards, num_pairs=pairs, on_progress=progress)
    return segmenter, learned


def _from_masks(
    benchmark: "Benchmark", options: ModelOptions, console: Console
) -> tuple["Segmenter", "LearnedLayer"]:
    from groupvit.background.learned_layer import learn_from_masks

    segmenter = _load(options, console, benchmark.key)
    with counted("images") as progress:
        return segmenter, learn_from_masks(segmenter, benchmark, on_progress=progress)


def _load(options: ModelOptions, console: Console, benchmark: str = "") -> "Segmenter":
    return load_model(console, options.model, partial(options.segmenter, benchmark=benchmark))


def _table(found: "LearnedLayer") -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("learned from", f"{found.num_examples:,} parts of images")
    table.add_row("with a label present", f"{100 * found.present:.0f} %")
    table.add_row("balanced accuracy", f"{100 * found.accuracy:.1f} %")
    return table
