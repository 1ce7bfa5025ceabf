"""A storybook on disk: shards of images with captions, and a benchmark with masks.

The bytes of every file follow from the settings, whoever writes it.
"""

import io
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from PIL import Image

from groupvit.errors import InputError
from groupvit.formats.index_png import index_png
from groupvit.palette import colors
from groupvit.storybook.scene import CLASSES, SEEN, Scene, scene

SMALLEST, LARGEST = 16, 512
"""Sizes of images [pixels]."""
PAIRS, TEST = "pairs", "test"
"""Folders of the shards, and of the benchmark."""
NAME = "storybook"
"""What names of shards begin with."""

Tick = Callable[[], object]
"""Called after every image."""
Counts = Int[np.ndarray, " label"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Storybook:
    """What is to be written."""

    num: int = 20_000
    """Images with captions."""
    size: int = 80
    """Height and width of images, 16 to 512 [pixels]."""
    seed: int = 0
    """Another seed gives another storybook."""
    num_test: int = 500
    """Images with masks; 0: no benchmark."""
    shard_size: int = 5000
    """Images in a tar file."""

    def __post_init__(self) -> None:
        if not SMALLEST <= self.size <= LARGEST:
            raise InputError(f"size is {self.size}; give {SMALLEST} to {LARGEST} pixels")
        for name in ("num", "shard_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; give at least 1")
        if self.num_test < 0:
            raise InputError(f"num_test is {self.num_test}; give 0 or more")


class Part(NamedTuple):
    """What one worker writes at a time: a shard or, without a number, the benchmark."""

    folder: Path
    book: Storybook
    number: int | None

    def write(self, tick: Tick) -> Counts:
        """Write it; gives the number of images that each class is seen in."""
        if self.number is None:
            return _write_benchmark(self.folder / TEST, self.book, tick)
        return _write_shard(self.folder / PAIRS, self.book, self.number, tick)


def parts(folder: Path, book: Storybook) -> list[Part]:
    """Divide the work, the shards first."""
    num_shards = -(-book.num // book.shard_size)
    shards = [Part(folder, book, number) for number in range(num_shards)]
    return [*shards, Part(folder, book, None)] if book.num_test else shards


def _write_shard(folder: Path, book: Storybook, number: int, tick: Tick) -> Counts:
    """Images and captions in the WebDataset layout; masks are left out."""
    first = number * book.shard_size
    counts = np.zeros(len(CLASSES), np.int64)
    path = folder / f"{NAME}-{number:06d}.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for index in range(first, min(first + book.shard_size, book.num)):
            page = scene(index, seed=book.seed, size=book.size)
            _add(tar, f"{index:09d}.jpg", _jpeg(page))
            _add(tar, f"{index:09d}.txt", "\n".join(page.captions).encode())
            counts += _seen(page)
            tick()
    return counts


def _write_benchmark(folder: Path, book: Storybook, tick: Tick) -> Counts:
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    palette = colors(len(CLASSES), background=False)
    for index in range(book.num_test):
        page = scene(index, seed=book.seed, split="test", size=book.size)
        (folder / f"images/{index:06d}.jpg").write_bytes(_jpeg(page))
        index_png(page.mask, palette).save(folder / f"masks/{index:06d}.png")
        tick()
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")
    # The shares that are reported are those of the images with captions.
    return np.zeros(len(CLASSES), np.int64)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # its time and owner are 0
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _jpeg(page: Scene) -> bytes:
    # At 80 pixels a JPEG takes 3.1 kB, 0.10 ms to write and 0.15 ms to read; a PNG of compression
    # level 1 takes 6.7 kB, 0.42 ms and 0.21 ms. Colors are kept at full resolution, as things are
    # small. Images of the benchmark go the same way, so that they look like those of training.
    file = io.BytesIO()
    Image.fromarray(page.image).save(file, "JPEG", quality=90, subsampling=0)
    return file.getvalue()


def _seen(page: Scene) -> Counts:
    shares = np.bincount(page.mask.ravel(), minlength=len(CLASSES)) / page.mask.size
    return (shares >= SEEN).astype(np.int64)


def total(counts: Sequence[Counts]) -> Counts:
    """Add up what the parts give."""
    summed: Counts = np.stack(counts).sum(axis=0)
    return summed
