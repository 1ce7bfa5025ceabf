"""`groupvit storybook`: a synthetic dataset to train on captions and to measure segmentation."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from groupvit.cli.options import Flag, Words

if TYPE_CHECKING:
    from rich.console import Console


def storybook(
    *,
    out: Path,
    num: int = 20_000,
    size: int = 80,
    seed: int = 0,
    test: int = 500,
    shard_size: int = 5000,
    patterned: Flag = False,
    unnamed: Words = (),
    workers: int | None = None,
    overwrite: Flag = False,
) -> int:
    """Draw captioned images to train on, and a benchmark with masks.

    Args:
        out: Folder to write: pairs/ with tar shards of images and captions, test/ with images/,
            masks/ and classes.txt, and sheet.png with some of the scenes.
        num: Number of images with captions.
        size: Height and width of images, 16 to 512 [pixels].
        seed: Seed of all scenes.
        test: Number of images of the benchmark, which are not among those with captions.
        shard_size: Images in a tar file.
        patterned: Give every class a pattern of its own in colors that all classes share, so that
            color does not tell them apart.
        unnamed: Things that no caption names, although they are drawn: words that a model cannot
            learn from the captions.
        workers: Processes that draw; default: one for each core. They do not change the files.
        overwrite: Replace the files of an earlier run.
    """
    from rich.console import Console

    from groupvit.progress import counted
    from groupvit.storybook.workers import write
    from groupvit.storybook.writing import Storybook
    from groupvit.text.prompts import split_words

    book = Storybook(
        num=num,
        size=size,
        seed=seed,
        num_test=test,
        shard_size=shard_size,
        unnamed=split_words(unnamed),
        patterned=patterned,
    )
    start = time.perf_counter()
    with counted("images") as progress:
        frequencies = write(out, book, workers=workers, overwrite=overwrite, on_progress=progress)
    rate = (num + test) / (time.perf_counter() - start)
    console = Console(highlight=False, soft_wrap=True)
    _print_classes(console, frequencies)
    console.print(f"images and captions: {out / 'pairs'}", markup=False)
    if test > 0:
        console.print(f"benchmark with masks: {out / 'test'}", markup=False)
    console.print(f"contact sheet: {out / 'sheet.png'}", markup=False)
    console.print(f"{num + test:,} images, {rate:,.0f} images/s")
    return 0


def _print_classes(console: "Console", frequencies: dict[str, float]) -> None:
    """Print the fraction of images with each class."""
    from rich import box
    from rich.table import Table

    table = Table(title="images with each class", box=box.SIMPLE, title_justify="left")
    rows = -(-len(frequencies) // 3)
    cells = [(name, f"{frequency:.1%}") for name, frequency in frequencies.items()]
    for _ in range(3):
        table.add_column("class")
        table.add_column("images", justify="right")
    for row in range(rows):
        table.add_row(*(text for cell in cells[row::rows] for text in cell))
    console.print(table)
