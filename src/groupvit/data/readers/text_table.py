"""CSV and TSV tables with a column of image files and one of captions."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from groupvit.data import tables
from groupvit.data.caption_texts import captions_of_cell
from groupvit.data.pairs import NO_IMAGE, LeftOut, Source, grouped
from groupvit.data.tables import Row
from groupvit.errors import InputError

_COUNTED = 100
"""Rows whose cells are counted, to find out how many columns a table without header has."""
_MOST_COLUMNS = 10_000
"""Largest number of a column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Columns of a table, and what separates them."""

    image_column: str
    """Name of the column of image files; its number, from 1, without a header."""
    caption_column: str
    """Name or number of the column of captions."""
    delimiter: str | None = None
    """Character between the cells; None: tab, semicolon or comma, as in the first line."""
    has_header: bool = True
    """True if the first line names the columns."""


class _Columns:
    """Number of columns, and the positions of two of them."""

    def __init__(self, names: Sequence[str], layout: Layout) -> None:
        self.num = len(names)
        self.image = names.index(layout.image_column)
        self.caption = names.index(layout.caption_column)


def from_text_table(path: Path, folder: Path, layout: Layout) -> Source:
    """Images of a CSV or TSV table; the captions of an image may be in several rows.

    Rows without an image, with too few or too many cells are left out; if there are only two
    columns, surplus cells belong to the caption. A cell may hold a list of captions.

    Args:
        path: The table.
        folder: Folder that its image files are relative to.
        layout: Columns and delimiter.

    Raises:
        InputError: The table cannot be read or lacks a column.
    """
    found = tables.rows(path, layout.delimiter)
    columns = _Columns(_header(path, found, layout), layout) if layout.has_header else None
    if columns is None:
        first = list(islice(found, _COUNTED))
        columns, found = _Columns(_numbers(path, first, layout), layout), chain(first, found)
    left_out, captions, number = [], [], 0
    for line, cells, delimiter in found:
        if cells == [""]:
            continue
        number += 1
        cells = _repaired(cells, columns, delimiter)
        if kind := _fault(cells, columns):
            detail = f"{len(cells)} for {columns.num} columns; put captions in quotation marks"
            left_out.append(
                LeftOut(f"{path}, line {line}", kind, detail if "cells" in kind else "")
            )
        else:
            texts = captions_of_cell(cells[columns.caption]) or []
            captions.append((folder / cells[columns.image].strip(), texts))
    return Source(grouped(captions), {"rows": number}, left_out)


def _header(path: Path, found: Iterator[Row], layout: Layout) -> list[str]:
    """Names of the columns in the first line."""
    header = [name.strip() for name in next(found).cells]
    required = layout.image_column, layout.caption_column
    tables.check_columns(path, [] if header == [""] else header, required)
    return header


def _numbers(path: Path, first: Sequence[Row], layout: Layout) -> list[str]:
    """Numbers of the columns, as many as most of the first rows have that are long enough."""
    for column in (layout.image_column, layout.caption_column):
        if not (re.fullmatch(r"[1-9][0-9]{0,4}", column) and int(column) <= _MOST_COLUMNS):
            raise InputError(
                f"column {column!r:.200} of a table without header; give its number, from 1, with "
                "--image-column and --caption-column"
            )
    counts = Counter(len(row.cells) for row in first if row.cells != [""])
    least = max(int(layout.image_column), int(layout.caption_column))
    enough = [number for number in counts if number >= least]
    usual = min(enough, key=lambda number: (-counts[number], number), default=0)
    numbers = [str(number) for number in range(1, (usual or max(counts, default=0)) + 1)]
    tables.check_columns(path, numbers, (layout.image_column, layout.caption_column))
    return numbers


def _repaired(cells: list[str], columns: _Columns, delimiter: str) -> list[str]:
    """Cells without empty ones at the end; of two columns, the caption may have delimiters."""
    while len(cells) > columns.num and not cells[-1].strip():
        cells = cells[:-1]
    surplus = len(cells) - columns.num
    if surplus <= 0 or columns.num != 2:
        return cells
    end = columns.caption + surplus + 1
    return [
        *cells[: columns.caption],
        delimiter.join(cells[columns.caption : end]),
        *cells[end:],
    ]


def _fault(cells: list[str], columns: _Columns) -> str:
    """Reason to leave out a row, or an empty text."""
    if len(cells) <= max(columns.image, columns.caption):
        return "row with too few cells"
    if len(cells) > columns.num:
        return "row with too many cells"
    return "" if cells[columns.image].strip() else NO_IMAGE
