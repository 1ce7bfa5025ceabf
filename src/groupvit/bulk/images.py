"""Images of a shard, one after the other, and functions that decode them."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from groupvit import imaging, storage
from groupvit.bulk.shards import Shard
from groupvit.data import tar_samples
from groupvit.errors import InputError
from groupvit.segmentation.each import ReadImage

_ROWS = 32
"""Rows of a table that are read at a time."""

Images = Iterator[tuple[str, ReadImage]]
"""Key of each image, and the function that decodes it or raises the error of its row."""


def read(shard: Shard) -> Images:
    """Images of a shard; what is lost in it is an image that cannot be read, too.

    Raises:
        InputError: The shard as a whole cannot be read, or was changed.
    """
    for key, image in _images(shard):
        if key.startswith("/") or ".." in PurePosixPath(key).parts or "\0" in key:
            image = partial(_refuse, f"the key {key!r:.200} leads out of the folder of results")
        yield key, image


def _images(shard: Shard) -> Images:
    if shard.keys:
        for key, image in zip(shard.keys, shard.paths, strict=True):
            yield key, partial(_from_file, image)
        return
    (url,) = shard.paths
    with storage.on_disk(url, shard.state) as file:
        yield from _of_tar(file) if url.endswith(".tar") else _of_table(file, url)


def _from_file(path: str) -> Any:
    if storage.is_local(path):
        return imaging.read(path)
    return imaging.decode(storage.read(path), name=path)


def _of_tar(path: Path) -> Images:
    images, damage = tar_samples.images(path)
    with path.open("rb") as file:
        for key, (start, size) in images.items():
            yield key, partial(imaging.decode, os.pread(file.fileno(), size, start), name=key)
    for kind, number in damage.items():
        yield f"__{kind.replace(' ', '_')}__", partial(_refuse, f"{kind}: {number} in this shard")


def _of_table(path: Path, url: str) -> Images:
    with storage.refusals(url):
        table = _opened(path, url)
        column = _image_column(table.schema_arrow, url)
        keys = iter(_keys(table, column))
        for batch in table.iter_batches(batch_size=_ROWS, columns=[column]):
            for value in batch.column(0).to_pylist():
                data = value["bytes"] if isinstance(value, dict) else value
                key = next(keys)
                if data is None:
                    yield key, partial(_refuse, f"{key} has no bytes in the table")
                else:
                    yield key, partial(imaging.decode, data, name=key)


def _opened(path: Path, url: str) -> Any:
    try:
        return storage.parquet().ParquetFile(path)
    except InputError:
        raise
    except ValueError as error:  # the base of the errors of pyarrow
        raise InputError(f"{url} is no Parquet table: {error}") from error


def _image_column(schema: Any, url: str) -> str:
    """Column with the bytes of images: `image` if it is one, else the first."""
    columns = [field.name for field in schema if _holds_bytes(field.type)]
    if not columns:
        raise InputError(
            f"{url} has no column with the bytes of images; its columns are "
            f"{', '.join(schema.names)}"
        )
    return "image" if "image" in columns else columns[0]


def _holds_bytes(kind: Any) -> bool:
    """True for bytes, and for tables of `bytes` and `path`, as the hub has them."""
    if str(kind).startswith("struct"):
        return any(field.name == "bytes" for field in kind)
    return str(kind) in ("binary", "large_binary")


def _keys(table: Any, column: str) -> list[str]:
    """Keys of the rows: `__key__`, the paths of the images, or the numbers of the rows."""
    names = table.schema_arrow.names
    wanted = "__key__" if "__key__" in names else f"{column}.path"
    read = table.read(columns=[wanted])
    if read.num_columns:
        values = read.column(0).to_pylist()
        found = [value["path"] if isinstance(value, dict) else value for value in values]
        if all(isinstance(key, str) and key for key in found) and len(set(found)) == len(found):
            return found
    return [f"{row:09}" for row in range(table.metadata.num_rows)]


def _refuse(message: str) -> NoReturn:
    raise InputError(message)
