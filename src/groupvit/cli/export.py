"""`groupvit export`: a model as ONNX graphs."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from groupvit.cli.models import load_model
from groupvit.cli.options import Flag, Words
from groupvit.errors import InputError
from groupvit.progress import counted
from groupvit.weights.packaged import DEFAULT

if TYPE_CHECKING:
    from groupvit.exported.writing import Difference
    from groupvit.weights.checkpoint import LoadedModel


def export(
    source: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="MODEL")]] = DEFAULT,
    out: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="FOLDER")]] = Path("exported"),
    /,
    *,
    precision: Literal["float32", "int8"] = "float32",
    labels: Words = (),
    scenes: int = 50,
    revision: str | None = None,
    overwrite: Flag = False,
) -> int:
    """Export a model as ONNX graphs, in a self-contained folder.

    Args:
        source: A bundled name (photos, storybook, random), a folder, a file of weights, or a hub
            id such as nvidia/groupvit-gcc-yfcc.
        out: Folder to write; --model of other commands takes it.
        precision: int8 makes the files a quarter as large, and changes results a little.
        labels: Default labels of the exported model.
        scenes: Number of drawn scenes on which mIoU is compared with PyTorch; 0: none.
        revision: Branch, tag or commit of a model on the hub.
        overwrite: Replace the folder if it exists.
    """
    from groupvit.exported import writing
    from groupvit.weights import catalogue

    if scenes < 0:
        raise InputError(f"--scenes is {scenes}; give at least 0")
    console = Console(highlight=False, soft_wrap=True)
    loaded = load_model(console, source, partial(catalogue.load, source, revision=revision))
    with console.status(f"exporting {source}"):
        found = writing.write(out, loaded, precision=precision, labels=labels, overwrite=overwrite)
    console.print(_table(out, found))
    if scenes:
        _compare(console, loaded, out, scenes)
    console.print(f"use it: groupvit segment IMAGE --model {out} --labels ...", markup=False)
    return 0


def _table(out: Path, found: "list[Difference]") -> Table:
    from groupvit.exported.folder import IMAGE_FILE, TEXT_FILE

    table = Table(box=box.SIMPLE)
    table.add_column("graph")
    for name in ("size [MB]", "largest difference to PyTorch", "least cosine"):
        table.add_column(name, justify="right")
    for file, one in zip((IMAGE_FILE, TEXT_FILE), found, strict=True):
        size = (out / file).stat().st_size / 1e6
        table.add_row(file, f"{size:.1f}", f"{one.largest:.1e}", f"{one.cosine:.5f}")
    return table


def _compare(console: Console, loaded: "LoadedModel", out: Path, scenes: int) -> None:
    """Print the mIoU of both on the same drawn scenes."""
    from groupvit.evaluation.benchmarks.scenes import Scenes
    from groupvit.evaluation.evaluate import evaluate
    from groupvit.segmentation.segmenter import Segmenter

    images = Scenes(num=scenes)
    both = [
        Segmenter(
            loaded.model,
            origin=loaded.origin,
            inference=loaded.inference,
            background=loaded.background,
        ),
        Segmenter.load(out),
    ]
    with counted("scenes, by PyTorch and by the exported model") as progress:
        before, after = (
            100 * evaluate(one, images, on_progress=progress).scores.miou for one in both
        )
    console.print(
        f"mIoU on {scenes} drawn scenes: PyTorch {before:.2f}, exported {after:.2f} "
        f"({after - before:+.2f})"
    )
