"""`groupvit classify`: zero-shot classification of images that lie in folders of classes."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from groupvit.cli import json_file
from groupvit.cli.models import load_model
from groupvit.cli.options import Flag
from groupvit.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from groupvit.evaluation.classification import Classification

Folder = tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="FOLDER")]]
WORST = 5
"""How many classes are shown that are called by their names least."""


def classify(
    folder: Folder,
    /,
    *,
    model: str,
    names: str = "folders",
    templates: str = "subset",
    revision: str | None = None,
    device: str = "auto",
    out: Path | None = None,
    overwrite: Flag = False,
) -> int:
    """Call images by the nearest of all class names, without having learned any class.

    Every image counts once, whatever the number of processes under torchrun.

    Args:
        folder: Holds a folder with images for each class.
        model: A bundled name, a folder, a training run, a file of weights, or a hub id.
        names: What classes are called. folders: as their folders are, with _ as a space; imagenet:
            CLIP's 1,000 names, for its folders n01440764 and so on; or a text file with a name in
            each line, in the order of the folders.
        templates: Sentences around a name: simple, subset (7, as published), full (80), or a file.
        revision: Branch, tag or commit of a model on the hub.
        device: Where to compute: auto, cpu, cuda, cuda:1, mps.
        out: A JSON file for the numbers.
        overwrite: Replace that file if it exists.
    """
    from dataclasses import asdict, replace

    from rich.console import Console

    from groupvit.distributed import session
    from groupvit.evaluation.classification import classify as run
    from groupvit.evaluation.classification import find_items
    from groupvit.progress import counted
    from groupvit.segmentation.protocol import OURS
    from groupvit.segmentation.segmenter import Segmenter
    from groupvit.text import prompts

    json_file.check(out, overwrite=overwrite)
    folders, items = find_items(folder)
    called = _names(names, folders)
    protocol = replace(OURS, templates=prompts.templates(templates))
    with session(device) as ranks:
        console = Console(highlight=False, soft_wrap=True, quiet=not ranks.is_main)
        load = partial(
            Segmenter.load, model, revision=revision, protocol=protocol, device=ranks.device
        )
        segmenter = load_model(console, model, load)
        with counted("images") as progress:
            told = progress if ranks.is_main else None
            found = run(segmenter, items, called, ranks=ranks, on_progress=told)
        console.print(_table(found))
        if out is not None and ranks.is_main:
            source = segmenter.origin.source if segmenter.origin else None
            asked = {"folder": str(folder), "names": names, "templates": templates}
            json_file.write(out, {"model": model, "weights": source, **asked, **asdict(found)})
            console.print(f"wrote {out}", markup=False)
    return 0


def _names(given: str, folders: list[str]) -> list[str]:
    """The name of every class."""
    from groupvit.text.prompts import imagenet_classes

    if given == "folders":
        return [name.replace("_", " ") for name in folders]
    if given == "imagenet":
        names, source = list(imagenet_classes()), "the list of ImageNet"
    else:
        try:
            names = Path(given).read_text("utf-8-sig").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"--names {given!r} is neither folders, nor imagenet, nor a text file: {error}"
            ) from None
        names, source = [name.strip() for name in names if name.strip()], given
    if len(names) != len(folders):
        raise InputError(
            f"{source} has {len(names):,} names, but there are {len(folders):,} folders"
        )
    return names


def _table(found: "Classification") -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2))
    for cutoff, share in found.accuracy.items():
        table.add_row(f"top {cutoff}", f"[bold]{100 * share:.1f} %[/]")
    left_out = f", {found.damaged:,} left out as damaged" if found.damaged else ""
    table.add_row("images", f"{found.num_images:,}{left_out}")
    table.add_row("classes", f"{len(found.by_class):,}")
    worst = sorted(found.by_class.items(), key=lambda one: one[1])[:WORST]
    told = ", ".join(f"{escape(name)} {share:.0%}" for name, share in worst)
    table.add_row("worst", told)
    return table
