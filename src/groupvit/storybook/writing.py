"""Files of a storybook: shards of images with captions, and a benchmark with masks.

The bytes of every file depend on the settings alone.
"""

import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from PIL import Image

from groupvit.errors import InputError, suggestion
from groupvit.formats.index_png import index_png
from groupvit.palette import colors
from groupvit.storybook.scene import CLASSES, MIN_AREA, Scene, Split, scene
from groupvit.storybook.things import THINGS

SMALLEST, LARGEST = 16, 512
"""Range of image sizes [pixels]."""
PAIRS, TEST = "pairs", "test"
"""Folders of the shards and of the benchmark."""
NAME = "storybook"
"""Prefix of the names of shards."""

Tick = Callable[[], object]
"""Callback after every image."""
Counts = Int[np.ndarray, " label"]
"""Number of images that show each class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storybook:
    """Settings of a storybook."""

    num: int = 20_000
    """Number of images with captions."""
    size: int = 80
    """Height and width of images, 16 to 512 [pixels]."""
    seed: int = 0
    """Seed of all scenes."""
    num_test: int = 500
    """Number of images with masks; 0: no benchmark."""
    shard_size: int = 5000
    """Number of images in a tar file."""
    patterned: bool = False
    """Classes differ in their patterns, not in their colors."""
    unnamed: tuple[str, ...] = ()
    """Things that no caption names, although they are drawn."""

    def __post_init__(self) -> None:
        if not SMALLEST <= self.size <= LARGEST:
            raise InputError(f"size is {self.size}; give {SMALLEST} to {LARGEST} pixels")
        for name in ("num", "shard_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; give at least 1")
        if self.num_test < 0:
            raise InputError(f"num_test is {self.num_test}; give 0 or more")
        for name in self.unnamed:
            if name not in THINGS:
                raise InputError(
                    f"unnamed has {name!r}, which is no thing; the things are {', '.join(THINGS)}"
                    + suggestion(name, THINGS)
                )

    def scene(self, index: int, split: Split) -> Scene:
        """A scene of the book."""
        return scene(
            index,
            seed=self.seed,
            split=split,
            size=self.size,
            patterned=self.patterned,
            unnamed=self.unnamed,
        )


class Job(NamedTuple):
    """Unit of work of a process: a shard or, without a number, the benchmark."""

    folder: Path
    book: Storybook
    number: int | None

    def write(self, tick: Tick) -> Counts:
        """Write the files; returns the number of captioned images that show each class."""
        if self.number is None:
            return _write_benchmark(self.folder / TEST, self.book, tick)
        return _write_shard(self.folder / PAIRS, self.book, self.number, tick)


def jobs(folder: Path, book: Storybook) -> list[Job]:
    """All jobs, the shards first."""
    num_shards = -(-book.num // book.shard_size)
    shards = [Job(folder, book, number) for number in range(num_shards)]
    return [*shards, Job(folder, book, None)] if book.num_test else shards


def _write_shard(folder: Path, book: Storybook, number: int, tick: Tick) -> Counts:
    """Write images and captions in the WebDataset layout, without masks."""
    first = number * book.shard_size
    counts = np.zeros(len(CLASSES), np.int64)
    path = folder / f"{NAME}-{number:06d}.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for index in range(first, min(first + book.shard_size, book.num)):
            drawn = book.scene(index, "train")
            _add(tar, f"{index:09d}.jpg", _jpeg(drawn))
            _add(tar, f"{index:09d}.txt", "\n".join(drawn.captions).encode())
            counts += _visible(drawn)
            tick()
    return counts


def _write_benchmark(folder: Path, book: Storybook, tick: Tick) -> Counts:
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    palette = colors(len(CLASSES), background=False)
    for index in range(book.num_test):
        drawn = book.scene(index, "test")
        (folder / f"images/{index:06d}.jpg").write_bytes(_jpeg(drawn))
        index_png(drawn.mask, palette).save(folder / f"masks/{index:06d}.png")
        tick()
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")
    # Only the images with captions are counted.
    return np.zeros(len(CLASSES), np.int64)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # time and owner are 0
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _jpeg(drawn: Scene) -> bytes:
    # At 80 pixels a JPEG takes 3.1 kB, 0.10 ms to write and 0.15 ms to read; a PNG of compression
    # level 1 takes 6.7 kB, 0.42 ms and 0.21 ms. Colors keep their full resolution, as things are
    # small. Images of the benchmark are JPEG too, so that they look like those of training.
    file = io.BytesIO()
    Image.fromarray(drawn.image).save(file, "JPEG", quality=90, subsampling=0)
    return file.getvalue()


def _visible(drawn: Scene) -> Counts:
    areas = np.bincount(drawn.mask.ravel(), minlength=len(CLASSES)) / drawn.mask.size
    return (areas >= MIN_AREA).astype(np.int64)
