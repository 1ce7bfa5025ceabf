"""`groupvit pack`: shards of image-caption pairs from a folder, a table, or captions in JSON."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from groupvit.cli.options import Flag
from groupvit.data.readers.config import ReadingConfig

if TYPE_CHECKING:
    from rich.console import Console

    from groupvit.data.packing import Packed
    from groupvit.data.pairs import Source


_DEFAULTS = ReadingConfig()


def pack(
    source: tyro.conf.Positional[
        Annotated[Path | None, tyro.conf.arg(metavar="FOLDER|TABLE")]
    ] = None,
    /,
    *,
    out: str,
    reading: Annotated[ReadingConfig, tyro.conf.arg(name="")] = _DEFAULTS,
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
            or captions.txt for all, or metadata.jsonl), a CSV, TSV or Parquet table, a folder of
            Parquet tables, JSON lines (.jsonl), or a token file of Flickr8k (.token.txt).
        out: Folder for the shards, or its address in an object store (s3://bucket/pairs).
        reading: Settings of reading.
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
    from groupvit.data.readers.choice import read
    from groupvit.data.spool import Spool
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
    with (
        folder_of(out, name, overwrite=overwrite) as folder,
        Spool(folder, name) as spool,  # closed before the shards are uploaded
    ):
        found = read(source, reading, spool)
        with counted("pairs") as progress:
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
