"""`groupvit masks`: results of shards in the formats of other programs."""

from pathlib import Path
from typing import Annotated, Literal

import tyro


def masks(
    results: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="FOLDER")]],
    /,
    *,
    to: Literal["coco", "png", "yolo"],
    out: Path = Path("converted"),
) -> int:
    """Convert the results of groupvit segment for shards to files of other programs.

    Args:
        results: Folder of the results, or its URL.
        to: Format. coco: coco.json with run lengths and scores; png: a black and white mask of each
            label, NAME/LABEL.png; yolo: polygons, labels/NAME.txt, and data.yaml.
        out: New folder.
    """
    from rich.console import Console

    from groupvit.bulk.conversion import convert
    from groupvit.bulk.results import read_masks
    from groupvit.progress import counted

    found = read_masks(results)
    with counted("shards") as progress:
        done = convert(found, to, out, on_progress=progress)
    console = Console(highlight=False, soft_wrap=True)
    missing = len(found.manifest.inputs) - len(found.files)
    console.print(
        f"{done.num_images:,} images of {len(found.files):,} shards are now in {out}", markup=False
    )
    if done.num_failed:
        console.print(f"[yellow]{done.num_failed:,} images have an error and are left out[/]")
    if missing:
        console.print(f"[yellow]{missing:,} shards have no result yet[/]")
    return 0
