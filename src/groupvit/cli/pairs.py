"""`groupvit pairs`: statistics and damage of shards of image-caption pairs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from groupvit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from groupvit.data.report import Quantiles, Report

Shards = tyro.conf.Positional[
    Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="SHARD [SHARD ...]", help_behavior_hint="(required)")
    ]
]


def pairs(
    shards: Shards,
    /,
    *,
    nouns: Literal["pattern", "perceptron"] = "pattern",
    sheet: Path | None = None,
    json: Path | None = None,
) -> int:
    """Show the number of images, captions and nouns in tar shards, and what is damaged.

    The index of each shard, which training uses too, is written beside it.

    Args:
        shards: Tar files; ranges in braces are expanded: "pairs/train-{000000..000331}.tar".
        nouns: Tagger that finds the nouns: TextBlob's rules, or NLTK's with verbs, as published.
        sheet: Image file to write, with 24 samples and their captions.
        json: JSON file to write, with the same numbers.
    """
    from dataclasses import asdict
    from json import dumps

    from rich.console import Console

    from groupvit.data import index, patterns
    from groupvit.data import report as reports
    from groupvit.progress import counted

    with counted("shards indexed") as progress:
        prepared = index.prepare(patterns.expand(shards), nouns, on_progress=progress)
    with counted("shards read") as progress:
        report = reports.report(prepared, on_progress=progress)
    console = Console(highlight=False, soft_wrap=True)
    for table in _tables(report):
        console.print(table)
    if json is not None:
        text = dumps(asdict(report), indent=2, ensure_ascii=False) + "\n"
        _write(json, lambda path: path.write_text(text, "utf-8"))
    if sheet is not None:
        image = reports.sheet(prepared)
        _write(sheet, image.save)
    return 0


def _write(path: Path, save: "Callable[[Path], object]") -> None:
    from groupvit import files

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.new_file(path) as beside:
            save(beside)
    except (OSError, ValueError) as error:  # the latter for suffixes that Pillow does not know
        raise InputError(f"{path} cannot be written: {error}") from error


def _tables(report: "Report") -> "list[Table]":
    from rich import box
    from rich.table import Table

    counts = Table(show_header=False, box=None, padding=(0, 2))
    counts.add_row("shards", f"{report.shards:,}")
    counts.add_row("samples", f"{report.samples:,}")
    counts.add_row("captions", f"{report.captions:,}")
    rate = report.captions_without_nouns / max(1, report.captions)
    counts.add_row("captions without nouns", f"{report.captions_without_nouns:,} ({rate:.1%})")
    counts.add_row("size", f"{report.bytes / 1e6:,.1f} MB")
    for kind, number in sorted(report.damage.items()):
        counts.add_row(f"damage: {kind}", f"[yellow]{number:,}[/]")
    if report.unreadable:
        count = f"{report.unreadable} of {report.measured} sampled"
        counts.add_row("damage: unreadable images", f"[yellow]{count}[/]")
    quantiles = Table(box=box.SIMPLE)
    for name in ("", "smallest", "median", "95 % up to", "largest"):
        quantiles.add_column(name, justify="right" if name else "left")
    quantiles.add_row("width, pixels", *_cells(report.width))
    quantiles.add_row("height, pixels", *_cells(report.height))
    quantiles.add_row("caption, words", *_cells(report.words))
    return [counts, quantiles, _nouns(report)]


def _cells(quantiles: "Quantiles") -> list[str]:
    values = (quantiles.smallest, quantiles.median, quantiles.percentile_95, quantiles.largest)
    return [f"{value:,.0f}" for value in values]


def _nouns(report: "Report") -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(
        title="most frequent nouns", box=box.SIMPLE, title_justify="left", show_header=False
    )
    cells = [(noun, f"{count:,}") for noun, count in report.nouns.items()]
    rows = -(-len(cells) // 3)
    for _ in range(3):
        table.add_column()
        table.add_column(justify="right")
    for row in range(rows):
        table.add_row(*(text for cell in cells[row::rows] for text in cell))
    return table
