"""`groupvit pack`: shards of image-caption pairs from a folder, a table, or COCO's captions."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from groupvit.cli.options import Flag
from groupvit.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from groupvit.data.packing import Packed
    from groupvit.data.sources import Source


def pack(
    source: tyro.conf.Positional[
        Annotated[Path | None, tyro.conf.arg(metavar="FOLDER|TABLE")]
    ] = None,
    /,
    *,
    out: str,
    coco: Path | None = None,
    images: Path | None = None,
    image_column: str = "image",
    caption_column: str = "caption",
    name: str = "train",
    shard_size: int = 10_000,
    image_size: int = 512,
    quality: int = 95,
    shuffle_seed: int = 0,
    nouns: Literal["pattern", "perceptron"] = "pattern",
    overwrite: Flag = False,
) -> int:
    """Pack images and captions into tar shards, which training reads.

    Args:
        source: A folder with images and captions (a.txt or a.json beside a.jpg, or captions.csv
            or captions.txt for all), or a CSV, TSV or Parquet table.
        out: Folder for the shards, or its address in an object store (s3://bucket/pairs).
        coco: Caption file of COCO, such as captions_train2017.json, instead of a folder or table.
        images: Folder with the images of --coco.
        image_column: Column of a table with image files, relative to its folder.
        caption_column: Column of a table with captions.
        name: Prefix of the names of the shards.
        shard_size: Samples in a shard.
        image_size: Largest shorter side, to which larger images are reduced [pixels]; 0 keeps all
            files.
        quality: JPEG quality of reduced images, 1 to 100.
        shuffle_seed: Seed of the order of the pairs.
        nouns: Tagger that finds the nouns for training: TextBlob's rules, or NLTK's with verbs, as
            published.
        overwrite: Replace shards of this name.
    """
    from rich.console import Console

    from groupvit.data.packing import PackingConfig, folder_of
    from groupvit.data.packing import pack as write
    from groupvit.progress import counted

    console = Console(highlight=False, soft_wrap=True)
    config = PackingConfig(
        name=name,
        shard_size=shard_size,
        image_size=image_size,
        quality=quality,
        shuffle_seed=shuffle_seed,
        nouns=nouns,
    )
    found = _read(source, coco, images, image_column, caption_column)
    with folder_of(out, name, overwrite=overwrite) as folder, counted("pairs") as progress:
        packed = write(
            found.pairs,
            folder,
            config,
            left_out=found.left_out,
            overwrite=overwrite,
            on_progress=progress,
        )
    _print_table(console, found, packed)
    _print_summary(console, packed, out, name)
    return 0


def _read(
    source: Path | None,
    coco: Path | None,
    images: Path | None,
    image_column: str,
    caption_column: str,
) -> "Source":
    from groupvit.data import sources

    if (source is None) == (coco is None):
        raise InputError("give either a folder or table, or --coco; one of them")
    if (coco is None) != (images is None):
        raise InputError("--coco and --images belong together; give both")
    if coco is not None and images is not None:
        return sources.from_coco(coco, images)
    assert source is not None
    if source.is_dir():
        return sources.from_folder(source)
    if source.suffix.lower() not in sources.TABLES:
        raise InputError(
            f"{source} is neither a folder nor a table; a table ends in .csv, .tsv or .parquet"
        )
    return sources.from_table(source, image_column=image_column, caption_column=caption_column)


def _print_table(console: "Console", found: "Source", packed: "Packed") -> None:
    """Numbers read, packed and left out, and why; with the first example of each reason."""
    images = sum(shard.num_samples for shard in packed.shards)
    captions = sum(shard.num_captions for shard in packed.shards)
    rows = [("read", number, what) for what, number in found.read.items()]
    rows += [("packed", images, "images"), ("packed", captions, "captions")]
    examples = {one.kind: one.where for one in reversed(packed.skipped)}
    for kind, number in Counter(one.kind for one in packed.skipped).items():
        rows.append(("left out", number, f"{kind}: {examples[kind]}"))
    for name, number, what in rows:
        console.print(f"{name:8} {number:>11,}  {what}", markup=False)


def _print_summary(console: "Console", packed: "Packed", out: str, name: str) -> None:
    from rich.markup import escape

    from groupvit import storage

    samples = sum(shard.num_samples for shard in packed.shards)
    captions = sum(shard.num_captions for shard in packed.shards)
    first, last = packed.shards[0].path.name, packed.shards[-1].path.name
    to = "" if first == last else f" to {last}"
    place = f"{storage.join(out, first)}{to}"
    console.print(f"{samples:,} images with {captions:,} captions are now in {place}", markup=False)
    if packed.skipped:
        console.print(
            f"[yellow]{len(packed.skipped):,} were skipped; "
            f"{escape(storage.join(out, name))}.skipped.txt gives the reasons[/]"
        )
