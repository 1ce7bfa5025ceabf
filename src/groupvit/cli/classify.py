"""`groupvit classify`: zero-shot classification of images in one folder per class."""

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from groupvit.cli import json_file
from groupvit.cli.inputs import report_skipped
from groupvit.cli.models import load_model, warn_of_unknown_words
from groupvit.cli.options import Flag
from groupvit.errors import InputError
from groupvit.progress import counted
from groupvit.text.label_file import one_per_line, read_lines
from groupvit.text.prompts import imagenet_classes, quoted, split_words
from groupvit.text.templates import load_templates
from groupvit.weights.packaged import DEFAULT

if TYPE_CHECKING:
    from groupvit.probes.classification import Classification

Folder = tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="FOLDER")]]
WORST = 5
"""Number of classes with the lowest accuracy that are shown."""


def classify(
    folder: Folder,
    /,
    *,
    model: str = DEFAULT,
    names: str = "folders",
    templates: str = "subset",
    revision: str | None = None,
    device: str = "auto",
    out: Path | None = None,
    overwrite: Flag = False,
) -> int:
    """Classify images by the nearest class name, zero-shot.

    Every image counts once, also under torchrun.

    Args:
        folder: Folder with one folder of images per class.
        model: A bundled name, a folder, a training run, a file of weights, or a hub id.
        names: Names of the classes. folders: names of their folders, with _ as a space; imagenet:
            CLIP's 1,000 names, for folders n01440764 and so on; or a text file with one name per
            line, in the order of the folders.
        templates: Prompt templates: simple, subset (7, as published), full (80), or a file.
        revision: Branch, tag or commit of a model on the hub.
        device: Device of the computation: auto, cpu, cuda, cuda:1, mps.
        out: JSON file for the results.
        overwrite: Replace an existing file.
    """
    from groupvit.distributed import session
    from groupvit.probes.classification import classify as run
    from groupvit.probes.classification import find_items
    from groupvit.segmentation.protocol import OURS
    from groupvit.segmentation.segmenter import Segmenter

    json_file.check(out, overwrite=overwrite)
    folders, items = find_items(folder, on_skipped=report_skipped)
    class_names = _names(names, folders)
    protocol = replace(OURS, templates=load_templates(templates))
    with session(device) as ranks:
        console = Console(highlight=False, soft_wrap=True, quiet=not ranks.is_main)
        load = partial(
            Segmenter.load, model, revision=revision, protocol=protocol, device=ranks.device
        )
        segmenter = load_model(console, model, load)
        warn_of_unknown_words(console, segmenter, map(quoted, dict.fromkeys(class_names)))
        with counted("images") as progress:
            on_progress = progress if ranks.is_main else None
            found = run(segmenter, items, class_names, ranks=ranks, on_progress=on_progress)
        console.print(_table(found))
        if out is not None and ranks.is_main:
            source = segmenter.origin.source if segmenter.origin else None
            given = {"folder": str(folder), "names": names, "templates": templates}
            json_file.write(out, {"model": model, "weights": source, **given, **asdict(found)})
            console.print(f"wrote {out}", markup=False)
    return 0


def _names(given: str, folders: list[str]) -> list[str]:
    """Name of every class."""
    if given == "folders":
        return [name.replace("_", " ") for name in folders]
    if given == "imagenet":
        names, source = list(imagenet_classes()), "the list of ImageNet"
    else:
        file = Path(given)
        try:
            lines = list(filter(None, read_lines(file)))
        except InputError as error:
            raise InputError(
                f"--names {given!r} is neither folders, nor imagenet, nor a text file: {error}"
            ) from None
        names, source = list(split_words(one_per_line(lines, file))), given
    if len(names) != len(folders):
        raise InputError(
            f"{source} has {len(names):,} names, but there are {len(folders):,} folders"
        )
    return names


def _table(found: "Classification") -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2))
    for k, accuracy in found.accuracy.items():
        table.add_row(f"top {k}", f"[bold]{100 * accuracy:.1f} %[/]")
    left_out = f", {found.num_damaged:,} skipped as damaged" if found.num_damaged else ""
    table.add_row("images", f"{found.num_images:,}{left_out}")
    table.add_row("classes", f"{len(found.by_class):,}")
    worst = sorted(found.by_class.items(), key=lambda one: one[1])[:WORST]
    listed = ", ".join(f"{escape(name)} {accuracy:.0%}" for name, accuracy in worst)
    table.add_row("worst", listed)
    return table
