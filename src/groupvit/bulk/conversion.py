"""Results of shards as a COCO data set, as PNG masks of single labels, or as YOLO polygons."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image

from groupvit.bulk.results import Masks, Row
from groupvit.errors import InputError
from groupvit.files import new_file, new_folder
from groupvit.formats import run_lengths
from groupvit.formats.label_maps import category
from groupvit.formats.polygons import geojson
from groupvit.image_files import output_mark
from groupvit.progress import OnProgress
from groupvit.version import VERSION

Kind = Literal["coco", "png", "yolo"]
Rows = Iterable[tuple[str, Row]]
Labels = tuple[str, ...]
Ring = list[list[int]]
"""Closed outline: corners [x, y], of which the last is the first again."""


class Converted(NamedTuple):
    """Numbers of images that were written, and that have an error."""

    num_images: int
    num_failed: int


def convert(
    masks: Masks, kind: Kind, out: Path, *, on_progress: OnProgress | None = None
) -> Converted:
    """Write results in the format of other programs.

    Images with an error are left out. One image at a time is held in memory, of COCO also the names
    of all.

    Args:
        masks: Results of a run.
        kind: `coco`: `coco.json` with compressed run lengths and scores; `png`: a black and white
            mask of each label, `NAME/LABEL.png`; `yolo`: polygons, `labels/NAME.txt` and
            `data.yaml`.
        out: New folder.
        on_progress: Called after each shard.

    Raises:
        InputError: The folder exists, or two images have the same name.
    """
    if out.exists():
        raise InputError(f"{out} exists already; choose another folder")
    write = {"coco": _write_coco, "png": _write_png, "yolo": _write_yolo}[kind]
    rows = _Counted(masks, on_progress)
    with new_folder(out) as folder:
        write(rows, masks.labels, folder)
    return Converted(rows.num_images, rows.num_failed)


class _Counted:
    """Rows without those that have an error, which are counted."""

    def __init__(self, masks: Masks, on_progress: OnProgress | None) -> None:
        self._masks, self._on_progress = masks, on_progress
        self.num_images = self.num_failed = 0

    def __iter__(self) -> Iterator[tuple[str, Row]]:
        for number, file in enumerate(self._masks.files, start=1):
            for name, row in self._masks.of_shard(file):
                self.num_images += not row.error
                self.num_failed += bool(row.error)
                if not row.error:
                    yield name, row
            if self._on_progress is not None:
                self._on_progress(number, len(self._masks.files))


def _write_coco(rows: Rows, labels: Labels, folder: Path) -> None:
    """COCO's file piece by piece: annotations as they come, then the images."""
    images: list[dict[str, Any]] = []
    number = 0
    with new_file(folder / "coco.json") as path, path.open("w", encoding="utf-8") as file:
        file.write('{"annotations": [')
        for name, row in rows:
            size = {"height": row.height, "width": row.width}
            images.append({"id": len(images) + 1, "file_name": name, **size})
            for annotation in _annotations(row, len(images), labels):
                file.write(",\n" if number else "\n")
                number += 1
                file.write(json.dumps({"id": number, **annotation}))
        rest = {
            "images": images,
            "categories": [
                {"id": category(index, labels), "name": label, "supercategory": ""}
                for index, label in enumerate(labels)
                if category(index, labels)
            ],
            "info": {"description": "groupvit", "version": VERSION},
        }
        file.write("],\n" + json.dumps(rest, ensure_ascii=False)[1:])


def _annotations(row: Row, image_id: int, labels: Labels) -> Iterator[dict[str, Any]]:
    size = (row.height, row.width)
    for label, counts, score in zip(row.label_ids, row.counts, row.scores, strict=True):
        lengths = run_lengths.decompress(counts)
        yield {
            "image_id": image_id,
            "category_id": category(label, labels),
            "segmentation": {"size": list(size), "counts": counts},
            "bbox": list(run_lengths.box(run_lengths.to_mask(lengths, size))),
            "area": int(lengths[1::2].sum()),
            "score": score,
            "iscrowd": 0,
        }


def _write_png(rows: Rows, labels: Labels, folder: Path) -> None:
    for name, row in rows:
        place = _new_place(folder, name)
        place.mkdir(parents=True)
        for label, counts in zip(row.label_ids, row.counts, strict=True):
            mask = run_lengths.to_mask(run_lengths.decompress(counts), (row.height, row.width))
            image = Image.fromarray(mask.astype(np.uint8) * 255).convert("1")
            file_name = f"{labels[label].replace('/', '-').lstrip('.')}.png"
            image.save(place / file_name, pnginfo=output_mark())


def _write_yolo(rows: Rows, labels: Labels, folder: Path) -> None:
    names = [json.dumps(name) for index, name in enumerate(labels) if category(index, labels)]
    lines = [f"  {number}: {name}" for number, name in enumerate(names)]
    (folder / "data.yaml").write_text("\n".join(["names:", *lines, ""]), encoding="utf-8")
    for name, row in rows:
        place = _new_place(folder / "labels", str(Path(name).with_suffix(".txt")))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("".join(_yolo_lines(row, labels)), encoding="ascii")


def _yolo_lines(row: Row, labels: Labels) -> Iterator[str]:
    """A line for each region of each label: the class, then x and y of the corners in [0, 1]."""
    if not row.label_ids:
        return
    for feature in geojson(row.label_map(), labels)["features"]:
        number = category(feature["properties"]["label_index"], labels) - 1
        for polygon in feature["geometry"]["coordinates"]:
            corners = np.array(_joined(polygon)[:-1]) / [row.width, row.height]
            yield f"{number} {' '.join(f'{value:.6g}' for value in corners.ravel())}\n"


def _joined(polygon: list[Ring]) -> Ring:
    """One ring for an outer ring and its holes, as YOLO has no holes.

    A cut of no width leads to each hole, between the corners that are nearest.
    """
    ring, *holes = polygon
    for hole in holes:
        distances = np.abs(np.array(ring)[:, None] - np.array(hole)).sum(axis=2)
        i, j = np.unravel_index(distances.argmin(), distances.shape)
        ring = ring[: i + 1] + hole[j:-1] + hole[: j + 1] + ring[i:]
    return ring


def _new_place(folder: Path, name: str) -> Path:
    """Path below a folder for an image of this name.

    Raises:
        InputError: Another image has it, or it leads out of the folder.
    """
    relative, place = PurePosixPath(name), folder / name
    if place.exists() or relative.is_absolute() or ".." in relative.parts:
        raise InputError(f"two images are named {name}, or it leads out of {folder}; try --to coco")
    return place
