"""The reader for what a command is given: a folder, a table, a token file or captions in JSON."""

from dataclasses import fields
from pathlib import Path
from typing import Literal

from groupvit.data.pairs import Source
from groupvit.data.readers import image_folder, token_file
from groupvit.data.readers.coco import from_coco
from groupvit.data.readers.config import ReadingConfig
from groupvit.data.readers.folder import from_folder
from groupvit.data.readers.image_folder import IMAGE_KEY, from_image_folder
from groupvit.data.readers.json_lines import from_json_lines
from groupvit.data.readers.karpathy import from_karpathy
from groupvit.data.readers.parquet import from_parquet
from groupvit.data.readers.text_table import Layout, from_text_table
from groupvit.data.readers.token_file import from_token_file
from groupvit.data.spool import Spool
from groupvit.errors import InputError
from groupvit.image_files import SUFFIXES

Kind = Literal[
    "a folder",
    "a CSV or TSV table",
    "a Parquet table",
    "JSON lines",
    "a token file",
    "captions of COCO",
    "captions of Karpathy",
]
"""Layout of what is read."""
_TABLES: dict[str, Kind] = {
    ".csv": "a CSV or TSV table",
    ".tsv": "a CSV or TSV table",
    ".parquet": "a Parquet table",
    ".jsonl": "JSON lines",
}


_USED: dict[str, set[Kind]] = {
    "coco": {"captions of COCO"},
    "karpathy": {"captions of Karpathy"},
    "images": {
        "captions of COCO",
        "captions of Karpathy",
        "a token file",
        "a CSV or TSV table",
        "a Parquet table",
        "JSON lines",
    },
    "split": {"captions of Karpathy"},
    "image_column": {"a CSV or TSV table", "a Parquet table", "JSON lines"},
    "caption_column": {"a CSV or TSV table", "a Parquet table"},
    "caption_key": {"a folder", "JSON lines"},
    "delimiter": {"a CSV or TSV table"},
    "no_header": {"a CSV or TSV table"},
}
"""Layouts that each setting has an effect on."""


def read(source: Path | None, config: ReadingConfig, spool: Spool) -> Source:
    """Images and captions.

    Args:
        source: Folder, table or token file; None with captions of COCO or Karpathy.
        config: The settings.
        spool: File for the images that are inside of a table.

    Raises:
        InputError: Nothing, or more than one thing is given, it cannot be read, or a setting has
            no effect on it.
    """
    given = [one for one in (source, config.coco, config.karpathy) if one is not None]
    if len(given) != 1:
        raise InputError("give either a folder or table, or --coco, or --karpathy; one of them")
    (path,) = given
    kind = _kind(source, config)
    _check_used(kind, config)
    if kind == "a folder":
        return _folder(path, config)
    if kind == "a Parquet table":
        return from_parquet(
            _tables(path),
            config.images,
            spool,
            image_column=config.image_column or "image",
            caption_column=config.caption_column or "caption",
        )
    return _file(path, kind, config.images or path.parent, config)


def _folder(folder: Path, config: ReadingConfig) -> Source:
    metadata = image_folder.metadata_of(folder)
    if metadata is not None:
        return from_image_folder(metadata, caption_key=config.caption_key)
    return from_folder(folder, caption_key=config.caption_key)


def _file(path: Path, kind: Kind, images: Path, config: ReadingConfig) -> Source:
    """Images of a file of text."""
    if kind == "a CSV or TSV table":
        return from_text_table(path, images, _layout(config))
    if kind == "JSON lines":
        image_key = config.image_column or IMAGE_KEY
        return from_json_lines(path, images, image_key=image_key, caption_key=config.caption_key)
    if kind == "a token file":
        return from_token_file(path, images)
    if config.images is None:
        name = "coco" if config.coco else "karpathy"
        raise InputError(f"--{name} and --images belong together; give both")
    if kind == "captions of COCO":
        return from_coco(path, images)
    return from_karpathy(path, images, splits=config.split)


def _kind(source: Path | None, config: ReadingConfig) -> Kind:
    if source is None:
        return "captions of COCO" if config.coco else "captions of Karpathy"
    if source.is_dir():
        return "a Parquet table" if _tables(source) else "a folder"
    if source.name.lower().endswith(token_file.SUFFIXES):
        return "a token file"
    kind = _TABLES.get(source.suffix.lower())
    if kind is None:
        raise InputError(
            f"{source} is neither a folder nor a table; a table ends in {', '.join(_TABLES)}, a "
            f"token file in {' or '.join(token_file.SUFFIXES)}"
        )
    return kind


def _tables(source: Path) -> list[Path]:
    """Parquet table itself; or those of a folder, if it holds no images beside them."""
    if not source.is_dir():
        return [source]
    inside = sorted(path for path in source.iterdir() if not path.name.startswith("."))
    has_images = any(path.name.lower().endswith(SUFFIXES) for path in inside)
    return [] if has_images else [path for path in inside if path.suffix.lower() == ".parquet"]


def _check_used(kind: Kind, config: ReadingConfig) -> None:
    for field in fields(config):
        if getattr(config, field.name) != field.default and kind not in _USED[field.name]:
            option = field.name.replace("_", "-")
            raise InputError(f"--{option} has no effect on {kind}; leave it out")


def _layout(config: ReadingConfig) -> Layout:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(config.delimiter or "", config.delimiter)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\n\r\0 \\'):
        raise InputError(
            f"--delimiter is {delimiter!r:.100}; give one character, such as '|', or tab"
        )
    image, caption = ("1", "2") if config.no_header else ("image", "caption")
    return Layout(
        image_column=config.image_column or image,
        caption_column=config.caption_column or caption,
        delimiter=delimiter,
        has_header=not config.no_header,
    )
