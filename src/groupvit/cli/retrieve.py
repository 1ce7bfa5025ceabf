"""`groupvit retrieve`: recall of captions by images, and of images by captions."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from groupvit.cli import json_file
from groupvit.cli.models import load_model
from groupvit.cli.options import Flag
from groupvit.progress import counted
from groupvit.weights.packaged import DEFAULT

if TYPE_CHECKING:
    from groupvit.probes.retrieval import Retrieval

Shards = tyro.conf.Positional[
    Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="SHARD [SHARD ...]", help_behavior_hint="(required)")
    ]
]


def retrieve(
    shards: Shards,
    /,
    *,
    model: str = DEFAULT,
    revision: str | None = None,
    device: str = "auto",
    out: Path | None = None,
    overwrite: Flag = False,
) -> int:
    """Retrieve captions by images and images by captions, among the pairs of tar shards.

    Recall at k is the fraction of queries with a right answer among the first k. For an image with
    several captions, any of them is right.

    Args:
        shards: Tar files; ranges in braces are expanded: "pairs/test-{000000..000003}.tar".
        model: A bundled name, a folder, a training run, a file of weights, or a hub id.
        revision: Branch, tag or commit of a model on the hub.
        device: Device of the computation: auto, cpu, cuda, cuda:1, mps.
        out: JSON file for the results.
        overwrite: Replace an existing file.
    """
    from groupvit.data import index, patterns
    from groupvit.devices import usable
    from groupvit.probes.retrieval import retrieval
    from groupvit.weights import catalogue

    console = Console(highlight=False, soft_wrap=True)
    json_file.check(out, overwrite=overwrite)
    place = usable(device)
    with counted("shards indexed") as progress:
        prepared = index.prepare(patterns.expand(shards), None, on_progress=progress)
    loaded = load_model(console, model, partial(catalogue.load, model, revision=revision))
    network = loaded.model.to(place).eval()
    with counted("images") as progress:
        found = retrieval(network, prepared, device=place, on_progress=progress)
    console.print(_table(found))
    console.print(
        f"{found.num_images:,} images, {found.num_captions:,} captions"
        + (f", {found.num_damaged:,} images skipped as damaged" if found.num_damaged else "")
    )
    if out is not None:
        source = loaded.origin.source
        values = {"model": model, "weights": source, "shards": shards, **asdict(found)}
        json_file.write(out, values)
        console.print(f"wrote {out}", markup=False)
    return 0


def _table(found: "Retrieval") -> Table:
    table = Table(box=box.SIMPLE, title="recall [%]", title_justify="left")
    table.add_column("")
    for k in found.captions.at:
        table.add_column(f"at {k}", justify="right")
    table.add_column("median rank", justify="right")
    directions = {
        "captions by image": found.captions,
        "images by caption": found.images,
    }
    for name, recall in directions.items():
        cells = [f"{100 * value:.1f}" for value in recall.at.values()]
        table.add_row(name, *cells, f"{recall.median_rank:,.0f}")
    return table
