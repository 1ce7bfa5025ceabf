"""Rows of CSV, TSV and Parquet tables; malformed rows are repaired or left out with the reason."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from groupvit.errors import InputError
from groupvit.files import read_text
from groupvit.image_files import OTHER_SUFFIXES, SUFFIXES

_LINES = 100
"""Most lines of a quoted cell; a quotation mark without its partner would swallow the rest."""

_ROWS = 64
"""Rows of a Parquet table that are read at a time."""

_IMAGE = re.compile(
    rf"\S.*({'|'.join(map(re.escape, SUFFIXES + OTHER_SUFFIXES))})['\"]?", re.IGNORECASE
)
"""Cell that names an image file."""


class Row(NamedTuple):
    """A row of a text table."""

    line: int
    """Line in the file at which it begins, from 1."""
    cells: list[str]
    """Never empty; a single empty cell for a blank line."""
    delimiter: str
    """Character between the cells."""


def text_of(path: Path, *, largest: int | None = None) -> str:
    """Text of a file.

    Args:
        path: The file.
        largest: Largest size that is read [bytes]; None: any.

    Raises:
        InputError: The file cannot be read or is no UTF-8 text.
    """
    try:
        return read_text(path, largest=largest)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; save it as UTF-8") from error


def rows(path: Path, delimiter: str | None = None) -> Iterator[Row]:
    """Rows of a CSV or TSV file, by default with the delimiter of its first line; see `_delimiter`.

    Quotation marks enclose a cell as in RFC 4180, also over several lines, or with a backslash
    before inner marks. Where a mark has no partner before the next line that names an image, it
    is a character of the cell.

    Raises:
        InputError: The file cannot be read, or a cell is longer than 131,072 characters.
    """
    lines = text_of(path).split("\n")
    delimiter = delimiter or _delimiter(lines[0])
    number = 0
    while number < len(lines):
        used, cells = _record(lines[number : number + _LINES], delimiter)
        if max(map(len, cells)) > csv.field_size_limit():
            raise InputError(
                f"{path}, line {number + 1}: field larger than field limit "
                f"({csv.field_size_limit()}); check the quotation marks"
            )
        yield Row(number + 1, cells, delimiter)
        number += used


def _delimiter(line: str) -> str:
    """Tab if the first line has one; semicolon if it comes before any comma; otherwise comma.

    In a file without a header, the first line may be `a;b.jpg,caption`.
    """
    if "\t" in line:
        return "\t"
    first, comma, _ = line.partition(",")
    names_image = comma and _IMAGE.fullmatch(first.strip())
    return ";" if ";" in first and not names_image else ","


def _record(lines: Sequence[str], delimiter: str) -> tuple[int, list[str]]:
    """Number of lines of the first row, and its cells."""
    raw = lines[0].split(delimiter)
    if '"' not in lines[0]:
        return 1, raw
    for used in range(1, len(lines) + 1):
        if used > 1 and _begins_row(lines[used - 1], delimiter):
            break
        text = "\n".join(lines[:used])
        cells = _quoted(text, delimiter)
        if cells is None and '\\"' in text:
            cells = _quoted(text, delimiter, escape="\\")
        if cells is not None:
            return used, cells
        if len(text) > csv.field_size_limit():
            break
    return 1, raw


def _begins_row(line: str, delimiter: str) -> bool:
    cells = line.split(delimiter)
    return len(cells) > 1 and any(_IMAGE.fullmatch(cell.strip()) for cell in cells)


def _quoted(text: str, delimiter: str, *, escape: str | None = None) -> list[str] | None:
    """Cells of exactly one row whose quotation marks all have their partner, otherwise None."""
    reader = csv.reader(
        io.StringIO(text, newline="\n"),
        delimiter=delimiter,
        escapechar=escape,
        doublequote=escape is None,
        skipinitialspace=f'{delimiter} "' in text,
        strict=True,
    )
    try:
        found = list(reader)
    except csv.Error:
        return None
    return found[0] if len(found) == 1 else None


def check_columns(path: Path, header: Sequence[str], required: Sequence[str]) -> None:
    """Refuse a table without these columns."""
    for name in required:
        if name not in header:
            raise InputError(
                f"{path} has no column {name!r}; it has {', '.join(map(repr, header))}. "
                "Name yours with --image-column and --caption-column"
            )


def parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Values of these columns of a Parquet table, row by row; a part of the table is in memory.

    Raises:
        InputError: pyarrow is missing, or the file is no Parquet table or lacks a column.
    """
    try:
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError(
            f"{path} is read by pyarrow, which is missing; install it with: pip install pyarrow"
        ) from error
    try:
        with parquet.ParquetFile(path) as table:
            check_columns(path, table.schema_arrow.names, columns)
            for batch in table.iter_batches(_ROWS, columns=list(columns)):
                yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    # The errors of pyarrow are `ValueError`, as is `InputError`, which must pass unchanged.
    except InputError:
        raise
    except (ValueError, NotImplementedError, RecursionError) as error:
        raise InputError(f"{path} is no Parquet table: {error}") from error
