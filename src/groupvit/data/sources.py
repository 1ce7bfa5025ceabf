"""Image-caption pairs of folders, tables, and COCO's JSON."""

import csv
import io
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from groupvit import image_files
from groupvit.errors import InputError
from groupvit.files import read_text
from groupvit.values import LARGEST_ANNOTATIONS, read_json

TABLES = (".csv", ".tsv", ".parquet")
"""Suffixes of tables."""

CAPTION_FILES = ("captions.csv", "captions.txt")
"""Files with all captions of a folder."""


class Pair(NamedTuple):
    """An image file and its captions."""

    image: Path
    """The file; it may be missing."""
    captions: tuple[str, ...]
    """Captions without empty ones; possibly none."""


def from_folder(folder: Path) -> list[Pair]:
    """All images in a folder and the folders below, with captions from text files.

    The captions of `a.jpg` are the lines of `a.txt` beside it. If the folder has `captions.csv` or
    `captions.txt`, its lines are used instead: file name, comma or tab, caption; a header "image",
    "caption" is skipped.

    Raises:
        InputError: There are no images, or the captions cannot be read.
    """
    for name in CAPTION_FILES:
        if (folder / name).exists():
            lines = list(_rows(folder / name))
            first = [cell.strip().lower() for cell in lines[0][:2]] if lines else []
            rows = lines[1:] if "caption" in first else lines
            return _grouped((folder / row[0].strip(), ",".join(row[1:])) for row in rows if row)
    found = [image.path for image in image_files.find([folder])]
    return [Pair(path, _lines_beside(path)) for path in found]


def from_table(path: Path, *, image_column: str, caption_column: str) -> list[Pair]:
    """Images of a CSV, TSV or Parquet table; the captions of an image may be in several rows.

    Args:
        path: The table; a CSV or TSV file begins with a header.
        image_column: Column of image files, relative to the table's folder.
        caption_column: Column of captions.

    Raises:
        InputError: The table cannot be read, lacks a column, or is Parquet and pyarrow is missing.
    """
    columns = (image_column, caption_column)
    if path.suffix.lower() == ".parquet":
        cells = _parquet(path, columns)
    else:
        rows = _rows(path)
        header = [name.strip() for name in next(rows, [])]
        _check_columns(path, header, columns)
        places = [header.index(name) for name in columns]
        cells = ((row[places[0]], row[places[1]]) for row in rows if len(row) > max(places))
    return _grouped((path.parent / image.strip(), caption) for image, caption in cells)


def from_coco(path: Path, folder: Path) -> list[Pair]:
    """Images of a COCO caption file, in a folder.

    Raises:
        InputError: The file cannot be read or is no COCO caption file, or it names an image
            outside of the folder.
    """
    try:
        values = read_json(path, largest=LARGEST_ANNOTATIONS)
        files = {image["id"]: str(image["file_name"]) for image in values["images"]}
        captions = [(note["image_id"], str(note["caption"])) for note in values["annotations"]]
        pairs = _grouped((folder / files[image], caption) for image, caption in captions)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is no COCO caption file; it should have images with id and file_name, and "
            "annotations with image_id and caption"
        ) from error
    for pair in pairs:
        if not pair.image.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{path} names {pair.image}, which is outside of {folder}")
    return pairs


def _grouped(captions: Iterable[tuple[Path, str]]) -> list[Pair]:
    """Captions by image, in the order of the first occurrence of each image."""
    found: dict[Path, list[str]] = {}
    for image, caption in captions:
        if "\0" in str(image):
            raise InputError(f"the name of the image {str(image)!r:.200} contains NUL")
        found.setdefault(image, []).append(_line(caption))
    return [Pair(image, tuple(filter(None, lines))) for image, lines in found.items()]


def _line(caption: str) -> str:
    return " ".join(caption.replace("\0", " ").split())


def _lines_beside(image: Path) -> tuple[str, ...]:
    path = image.with_suffix(".txt")
    return tuple(filter(None, map(_line, _read(path).split("\n")))) if path.exists() else ()


def _read(path: Path) -> str:
    try:
        return read_text(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; save it as UTF-8") from error


def _rows(path: Path) -> Iterator[list[str]]:
    """Rows of a table; columns are separated by tabs if the first line has one."""
    text = _read(path)
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        yield from reader
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.line_num}: {error}; check the quotation marks"
        ) from error


def _check_columns(path: Path, header: list[str], wanted: tuple[str, str]) -> None:
    for name in wanted:
        if name not in header:
            raise InputError(
                f"{path} has no column {name!r}; it has {', '.join(map(repr, header))}. "
                "Name yours with --image-column and --caption-column"
            )


def _parquet(path: Path, columns: tuple[str, str]) -> Iterable[tuple[str, str]]:
    try:
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError(
            f"{path} is read by pyarrow, which is missing; install it with: pip install pyarrow"
        ) from error
    try:
        _check_columns(path, parquet.read_schema(path).names, columns)
        table = parquet.read_table(path, columns=list(columns))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    # The errors of pyarrow are `ValueError`, as is `InputError`, which must pass unchanged.
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path} is no Parquet table: {error}") from error
    images_, captions = (table.column(name).to_pylist() for name in columns)
    return [
        (str(image), "" if caption is None else str(caption))
        for image, caption in zip(images_, captions, strict=True)
        if image is not None
    ]
