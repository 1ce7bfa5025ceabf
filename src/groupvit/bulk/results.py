"""Results of shards: rows of masks, written and read as Parquet, tar or PNG files.

A row holds the masks of an image as the run lengths of COCO, or the error why there are none.
"""

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from groupvit import storage
from groupvit.errors import InputError
from groupvit.formats import ShardFormat, run_lengths
from groupvit.formats.index_png import index_png
from groupvit.formats.label_maps import LabelMap
from groupvit.image_files import SUFFIXES as IMAGE_SUFFIXES
from groupvit.image_files import output_mark
from groupvit.segmentation.manifest import Manifest, from_text
from groupvit.segmentation.result import Segmentation

SUFFIXES: Mapping[ShardFormat, str] = {
    "parquet": ".parquet",
    "webdataset": ".tar",
    "files": ".jsonl",
}
"""Suffix of the file that holds the rows of a shard; it appears last."""
MANIFEST = "manifest.json"
_ROW_GROUP = 1000
"""Rows that are written to a table at a time."""


@dataclass(frozen=True, slots=True)
class Row:
    """Masks of an image."""

    key: str
    """Name of the image in its shard or folder."""
    height: int
    width: int
    """Size of the image [pixels]; 0 if it could not be read."""
    label_ids: tuple[int, ...]
    """Index of the label of each mask. Pixels in no mask are background, of index 0."""
    counts: tuple[str, ...]
    """Compressed run lengths of each mask; see `formats.run_lengths`."""
    scores: tuple[float, ...]
    """Mean score of the label in each mask, [0, 1]."""
    error: str
    """Message of the error; empty: none."""

    def label_map(self) -> LabelMap:
        """Index of the label of every pixel."""
        many = max(self.label_ids, default=0) > 255
        labels = np.zeros((self.height, self.width), np.uint16 if many else np.uint8)
        for label, counts in zip(self.label_ids, self.counts, strict=True):
            lengths = run_lengths.decompress(counts)
            labels[run_lengths.to_mask(lengths, (self.height, self.width))] = label
        return labels


def row_of(key: str, result: Segmentation | None, error: str) -> Row:
    """Row of an image that was segmented, or could not be read."""
    if result is None:
        return Row(key, 0, 0, (), (), (), error)
    height, width = result.label_map.shape
    labels = np.unique(result.label_map).tolist()
    ids = tuple(label for label in labels if label or not result.has_background)
    counts, scores = [], []
    for label in ids:
        mask = result.label_map == label
        counts.append(run_lengths.compress(run_lengths.run_lengths(mask)))
        scores.append(round(float(result.score_map.plane(label).cpu().numpy()[mask].mean()), 4))
    return Row(key, height, width, ids, tuple(counts), tuple(scores), error)


Write = Callable[[Row, Segmentation | None], None]


def new(folder: str, name: str, output: ShardFormat) -> AbstractContextManager[Write]:
    """Function that adds a row to the result of a shard, which appears whole at the end.

    Args:
        folder: Address of the results.
        name: Name of the shard.
        output: Kind of file.

    Raises:
        InputError: It cannot be written.
    """
    url = storage.join(folder, name + SUFFIXES[output])
    storage.remove_leftovers(folder, name + SUFFIXES[output])
    if output == "files":
        storage.remove_leftovers(storage.join(folder, name))
        return _new_files(url, storage.join(folder, name))
    return _new_table(url) if output == "parquet" else _new_tar(url)


@contextmanager
def _new_table(url: str) -> Iterator[Write]:
    parquet, schema = storage.parquet(), _schema()
    rows: list[Row] = []
    with storage.new_file(url) as path, parquet.ParquetWriter(path, schema) as writer:

        def flush() -> None:
            columns = {name: [getattr(row, name) for row in rows] for name in schema.names}
            writer.write_table(_arrow().table(columns, schema=schema))
            rows.clear()

        def write(row: Row, _: Segmentation | None) -> None:
            rows.append(row)
            if len(rows) == _ROW_GROUP:
                flush()

        yield write
        flush()


def _arrow() -> Any:
    import pyarrow

    return pyarrow


def _schema() -> Any:
    arrow = _arrow()
    whole, text = arrow.int32(), arrow.string()
    return arrow.schema(
        {
            "key": text,
            "height": whole,
            "width": whole,
            "label_ids": arrow.list_(whole),
            "counts": arrow.list_(text),
            "scores": arrow.list_(arrow.float64()),
            "error": text,
        }
    )


@contextmanager
def _new_tar(url: str) -> Iterator[Write]:
    with (
        storage.new_file(url) as path,
        tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar,
    ):

        def add(name: str, content: bytes) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

        def write(row: Row, result: Segmentation | None) -> None:
            add(f"{row.key}.json", to_json(row).encode())
            if result is not None:
                add(f"{row.key}.png", _png(result))

        yield write


@contextmanager
def _new_files(url: str, folder: str) -> Iterator[Write]:
    with storage.new_file(url) as path, path.open("w", encoding="utf-8") as rows:

        def write(row: Row, result: Segmentation | None) -> None:
            if result is not None:
                with storage.new_file(storage.join(folder, f"{row.key}.png")) as beside:
                    beside.write_bytes(_png(result))
            rows.write(f"{to_json(row)}\n")

        yield write


def _png(result: Segmentation) -> bytes:
    file = io.BytesIO()
    index_png(result.label_map, result.colors()).save(file, "PNG", pnginfo=output_mark())
    return file.getvalue()


def to_json(row: Row) -> str:
    """A row as JSON."""
    return json.dumps(asdict(row), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Masks:
    """Results of a run; iteration gives the name and the row of each image, shard by shard."""

    folder: str
    """Address of the results."""
    manifest: Manifest
    files: tuple[str, ...]
    """Names of the files of rows, sorted."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels that `Row.label_ids` counts; a background comes first."""
        return self.manifest.labels

    def __iter__(self) -> Iterator[tuple[str, Row]]:
        """Name of each image, and its row; see `of_shard`."""
        return chain.from_iterable(map(self.of_shard, self.files))

    def of_shard(self, file: str) -> Iterator[tuple[str, Row]]:
        """Name of each image (its key if that is a file name, else SHARD/KEY), and its row.

        Args:
            file: One of `files`.

        Raises:
            InputError: It is damaged.
        """
        shard, url = file.rpartition(".")[0], storage.join(self.folder, file)
        for values in _rows(url):
            try:
                row = Row(**{name: _plain(value) for name, value in values.items()})
            except TypeError as error:
                raise InputError(f"{url} has other columns than results have: {error}") from error
            whole = row.key.lower().endswith(IMAGE_SUFFIXES)
            yield (row.key if whole else f"{shard}/{row.key}"), row


def read_masks(path: str | Path) -> Masks:
    """Results that `groupvit segment` wrote as Parquet, tar or PNG files.

    Args:
        path: Their folder, by path or URL.

    Raises:
        InputError: It holds none.
    """
    folder = str(path)
    found = storage.names(folder)
    if MANIFEST not in found:
        raise InputError(f"{folder} holds no results of groupvit segment; check the address")
    manifest = read_manifest(folder)
    suffix = SUFFIXES[manifest.settings["output"][0]]
    shards = sorted(manifest.inputs)
    return Masks(
        folder, manifest, tuple(name + suffix for name in shards if name + suffix in found)
    )


def read_manifest(folder: str) -> Manifest:
    """Manifest of the results in a folder.

    Raises:
        InputError: It cannot be read, or is another file.
    """
    url = storage.join(folder, MANIFEST)
    return from_text(storage.read(url).decode("utf-8", "replace"), url)


def _rows(url: str) -> Iterator[dict[str, Any]]:
    with storage.on_disk(url) as path, storage.refusals(url):
        try:
            if url.endswith(".parquet"):
                for batch in storage.parquet().ParquetFile(path).iter_batches(_ROW_GROUP):
                    yield from batch.to_pylist()
            elif url.endswith(".jsonl"):
                with path.open(encoding="utf-8") as lines:
                    yield from map(json.loads, lines)
            else:
                with tarfile.open(path, "r:") as tar:
                    for member in tar:
                        if member.name.endswith(".json") and (file := tar.extractfile(member)):
                            yield json.loads(file.read())
        except (ValueError, tarfile.TarError) as error:
            raise InputError(f"{url} is damaged: {error}") from error


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
