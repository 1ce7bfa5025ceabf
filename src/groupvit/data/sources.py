"""Image-caption pairs of folders, tables, and COCO's JSON, and what of them was left out."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from groupvit import image_files
from groupvit.data import tables
from groupvit.data.caption_texts import captions_of, captions_of_cell, one_line
from groupvit.errors import InputError
from groupvit.values import LARGEST_ANNOTATIONS, read_json

TABLES = (".csv", ".tsv", ".parquet")
"""Suffixes of tables."""

CAPTION_FILES = ("captions.csv", "captions.txt")
"""Files with all captions of a folder."""

NO_CAPTION = "it has no caption"
"""Reason to leave out an image."""


class Pair(NamedTuple):
    """An image file and its captions."""

    image: Path
    """The file; it may be missing."""
    captions: tuple[str, ...]
    """Captions without empty ones; possibly none."""


class LeftOut(NamedTuple):
    """Something that was left out."""

    where: str
    """Image file, or file and line."""
    kind: str
    """Reason in a few words, the same for all of a kind."""
    detail: str = ""
    """The reason in this case, if there is more to it."""


class Source(NamedTuple):
    """Pairs of a folder, a table or a JSON file."""

    pairs: list[Pair]
    """The pairs."""
    read: dict[str, int]
    """Number of things read, by their name: images, text files, rows, annotations."""
    left_out: list[LeftOut]
    """Rows and files without a pair."""


def from_folder(folder: Path) -> Source:
    """All images in a folder and the folders below, with captions from text files.

    The captions of `a.jpg` are the lines of `a.txt` beside it, or the field `caption` of
    `a.json`. If the folder has `captions.csv` or `captions.txt`, its lines are read too: file
    name, comma, semicolon or tab, caption; a header "image", "caption" is skipped. Images without
    a caption are left out then.

    Raises:
        InputError: There are no images, or the captions cannot be read.
    """
    for name in CAPTION_FILES:
        if (folder / name).exists():
            return _merged(folder, folder / name)
    beside, left_out = _beside(folder)
    texts = sum(bool(pair.captions) for pair in beside)
    return Source(beside, {"images": len(beside), "caption files": texts}, left_out)


def from_table(path: Path, *, image_column: str, caption_column: str) -> Source:
    """Images of a CSV, TSV or Parquet table; the captions of an image may be in several rows.

    Commas, semicolons or tabs separate the columns. Rows without an image, with too few or too many
    cells are left out; if there are only two columns, surplus cells belong to the caption.

    Args:
        path: The table; a CSV or TSV file begins with a header.
        image_column: Column of image files, relative to the table's folder.
        caption_column: Column of captions, or of lists of captions.

    Raises:
        InputError: The table cannot be read, lacks a column, holds other values than texts, or is
            Parquet and pyarrow is missing.
    """
    columns = (image_column, caption_column)
    is_parquet = path.suffix.lower() == ".parquet"
    return _parquet(path, columns) if is_parquet else _text_table(path, columns)


def from_coco(path: Path, folder: Path) -> Source:
    """Images of a COCO caption file, in a folder; annotations of unknown images are left out.

    Raises:
        InputError: The file cannot be read or is no COCO caption file, or it names an image
            outside of the folder.
    """
    try:
        values = read_json(path, largest=LARGEST_ANNOTATIONS)
        files = {image["id"]: str(image["file_name"]) for image in values["images"]}
        captions = [(note["image_id"], str(note["caption"])) for note in values["annotations"]]
        left_out = [
            LeftOut(f"{path}, image_id {image!r:.100}", "annotation of an unknown image")
            for image, _ in captions
            if image not in files
        ]
        known = [one for one in captions if one[0] in files]
        pairs = _grouped((folder / files[image], [caption]) for image, caption in known)
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
    named = {image for image, _ in captions}
    left_out += [
        LeftOut(str(folder / name), "image without an annotation")
        for image, name in files.items()
        if image not in named
    ]
    return Source(pairs, {"images": len(files), "annotations": len(captions)}, left_out)


def _grouped(captions: Iterable[tuple[Path, Iterable[str]]]) -> list[Pair]:
    """Captions by image, in the order of the first occurrence of each image."""
    found: dict[Path, list[str]] = {}
    for image, several in captions:
        if "\0" in str(image):
            raise InputError(f"the name of the image {str(image)!r:.200} contains NUL")
        found.setdefault(image, []).extend(map(one_line, several))
    return [Pair(image, tuple(filter(None, lines))) for image, lines in found.items()]


def _beside(folder: Path) -> tuple[list[Pair], list[LeftOut]]:
    """Images with the captions beside them; those with an unreadable text file are left out."""
    pairs, left_out = [], []
    search = image_files.search([folder])
    for image in search.images:
        try:
            texts = [_text_beside(image.path, suffix) for suffix in (".txt", ".json")]
            pairs.append(Pair(image.path, captions_of(*texts)))
        except InputError as error:
            kind = "caption file that is not UTF-8 or cannot be read"
            left_out.append(LeftOut(str(image.path), kind, str(error)))
    for kind, paths in search.skipped.items():
        left_out += [LeftOut(str(path), kind) for path in paths]
    return pairs, left_out


def _text_beside(image: Path, suffix: str) -> str | None:
    for written in (suffix, suffix.upper()):
        path = image.with_suffix(written)
        if path.exists():
            return tables.text_of(path)
    return None


def _merged(folder: Path, path: Path) -> Source:
    """Captions of the file for all, and those beside the images without repetition."""
    beside, left_out = list[Pair](), list[LeftOut]()
    with suppress(InputError):  # the file may name images elsewhere
        beside, left_out = _beside(folder)
    found, captions = list(tables.rows(path)), []
    first = [cell.strip().lower() for cell in found[0].cells[:2]]
    for line, cells, delimiter in found[int("caption" in first) :]:
        if len(cells) > 1 and cells[0].strip():
            captions.append((folder / cells[0].strip(), delimiter.join(cells[1:])))
        elif cells != [""]:
            left_out.append(LeftOut(f"{path}, line {line}", "row with too few cells"))
    named = {pair.image: pair for pair in _grouped((image, [text]) for image, text in captions)}
    texts = 0
    for pair in beside:
        texts += bool(pair.captions)
        before = named[pair.image].captions if pair.image in named else ()
        both = before + tuple(text for text in pair.captions if text not in before)
        if both or pair.image in named:
            named[pair.image] = Pair(pair.image, both)
        else:
            left_out.append(LeftOut(str(pair.image), NO_CAPTION))
    read = {"images": len(beside), f"rows of {path.name}": len(captions), "caption files": texts}
    return Source(list(named.values()), read, left_out)


def _text_table(path: Path, columns: tuple[str, str]) -> Source:
    found = tables.rows(path)
    header = [name.strip() for name in next(found).cells]
    tables.check_columns(path, [] if header == [""] else header, columns)
    image, caption = map(header.index, columns)
    left_out, captions, number = [], [], 0
    for line, cells, delimiter in found:
        if cells == [""]:
            continue
        number += 1
        cells = _repaired(cells, len(header), caption, delimiter)
        if kind := _fault(cells, len(header), image, caption):
            detail = f"{len(cells)} for {len(header)} columns; put captions in quotation marks"
            left_out.append(
                LeftOut(f"{path}, line {line}", kind, detail if "cells" in kind else "")
            )
        else:
            texts = captions_of_cell(cells[caption]) or []
            captions.append((path.parent / cells[image].strip(), texts))
    return Source(_grouped(captions), {"rows": number}, left_out)


def _repaired(cells: list[str], num_columns: int, caption: int, delimiter: str) -> list[str]:
    """Cells without empty ones at the end; of two columns, the caption may have delimiters."""
    while len(cells) > num_columns and not cells[-1].strip():
        cells = cells[:-1]
    surplus = len(cells) - num_columns
    if surplus <= 0 or num_columns != 2:
        return cells
    end = caption + surplus + 1
    return [*cells[:caption], delimiter.join(cells[caption:end]), *cells[end:]]


def _fault(cells: list[str], num_columns: int, image: int, caption: int) -> str:
    """Reason to leave out a row, or an empty text."""
    if len(cells) <= max(image, caption):
        return "row with too few cells"
    if len(cells) > num_columns:
        return "row with too many cells"
    return "" if cells[image].strip() else "row without an image"


def _parquet(path: Path, columns: tuple[str, str]) -> Source:
    images, values = tables.parquet_columns(path, columns)
    left_out, captions = [], []
    for row, (image, value) in enumerate(zip(images, values, strict=True), start=1):
        texts = captions_of_cell(value)
        if texts is None or not isinstance(image, str | None):
            column, bad = (columns[1], value) if texts is None else (columns[0], image)
            raise InputError(
                f"{path}, row {row}: column {column!r} holds a {type(bad).__name__}; it should "
                "hold texts"
            )
        if image is None or not image.strip():
            left_out.append(LeftOut(f"{path}, row {row}", "row without an image"))
        else:
            captions.append((path.parent / image.strip(), texts))
    return Source(_grouped(captions), {"rows": len(images)}, left_out)
