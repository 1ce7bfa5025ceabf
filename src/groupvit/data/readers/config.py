"""Settings of reading images with captions."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingConfig:
    """Settings of reading."""

    coco: Path | None = None
    """Caption file of COCO, such as captions_train2017.json, instead of a folder or table."""
    karpathy: Path | None = None
    """Caption file of Karpathy, such as dataset_flickr8k.json, instead of a folder or table."""
    images: Path | None = None
    """Folder with the images of --coco, --karpathy or a token file, or that the image files of a
    table are relative to; default: the folder of the table or token file."""
    split: tuple[str, ...] = ("train",)
    """Splits of --karpathy: train, restval, val, test."""
    image_column: str | None = None
    """Column of a table with image files or, in Parquet, images; default: image, file_name in JSON
    lines, and 1 with --no-header."""
    caption_column: str | None = None
    """Column of a table with captions; default: caption, and 2 with --no-header."""
    caption_key: str = "caption"
    """Key of the captions in JSON beside images, JSON lines, or metadata of a folder."""
    delimiter: str | None = None
    """Character between the columns of a table, or tab; default: tab, semicolon or comma, as in the
    first line."""
    no_header: tyro.conf.FlagCreatePairsOff[bool] = False
    """The first line of a table is a row; columns are numbered from 1."""
