"""Parquet tables with paths of images or the images themselves, as on the Hugging Face hub."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from groupvit.data import tables
from groupvit.data.caption_texts import captions_of_cell
from groupvit.data.pairs import NO_IMAGE, TOO_LARGE, LeftOut, Source, StoredImage, grouped
from groupvit.data.spool import Spool
from groupvit.data.tar_samples import LARGEST_IMAGE
from groupvit.errors import InputError

_FIELDS = {"bytes", "path"}
"""Fields of an image in tables of Hugging Face's `datasets`."""


def from_parquet(
    paths: Sequence[Path],
    folder: Path | None,
    spool: Spool,
    *,
    image_column: str,
    caption_column: str,
) -> Source:
    """Images of Parquet tables; equal images, and equal paths, are one image.

    Args:
        paths: The tables.
        folder: Folder that image files are relative to; None: that of the table.
        spool: File for the images that are inside of the tables.
        image_column: Column of image files, of bytes of images, or of both: {bytes, path}.
        caption_column: Column of captions, or of lists of captions.

    Raises:
        InputError: pyarrow is missing, or a table cannot be read, lacks a column or holds other
            values.
    """
    left_out, captions, number = list[LeftOut](), [], 0
    for path in paths:
        columns = (image_column, caption_column)
        for row, (value, texts) in enumerate(tables.parquet_rows(path, columns), start=1):
            number += 1
            where = f"{path}, row {row}"
            lines = captions_of_cell(texts)
            if lines is None:
                raise _other_type(where, caption_column, texts)
            content = value.get("bytes") if isinstance(value, dict) else value
            if isinstance(content, bytes) and len(content) > LARGEST_IMAGE:
                left_out.append(LeftOut(where, TOO_LARGE, f"it has {len(content):,} bytes"))
            elif image := _image(value, where, image_column, folder or path.parent, spool):
                captions.append((image, lines))
            else:
                left_out.append(LeftOut(where, NO_IMAGE))
    return Source(grouped(captions), {"rows": number}, left_out)


def _image(
    value: Any, where: str, column: str, folder: Path, spool: Spool
) -> Path | StoredImage | None:
    """Image of a cell; None for an empty one."""
    given = value
    if isinstance(value, dict) and _FIELDS & value.keys():
        value = value.get("bytes") or value.get("path")
    if value is None:
        return None
    if isinstance(value, str):
        return folder / value.strip() if value.strip() else None
    if isinstance(value, bytes):
        return spool.add(where, value) if value else None
    raise _other_type(where, column, given)


def _other_type(where: str, column: str, value: Any) -> InputError:
    return InputError(
        f"{where}: column {column!r} holds a {type(value).__name__}; it should hold texts, or "
        "bytes of images"
    )
