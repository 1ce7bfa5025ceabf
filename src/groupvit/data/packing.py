"""Shards made from images with captions: the same pairs give the same bytes."""

import io
import os
import random
import re
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from groupvit import files, imaging
from groupvit.data import index
from groupvit.data.config import Nouns
from groupvit.data.index import Progress, Shard
from groupvit.data.sources import Pair
from groupvit.data.tar_samples import LARGEST_IMAGE, LARGEST_TEXT
from groupvit.errors import InputError
from groupvit.text.nouns import NounFinder

_SIGNS = {b"\xff\xd8\xff": "jpg", b"\x89PNG": "png", b"RIFF": "webp"}
"""How the files of the formats that `imaging.read` takes begin."""

_AT_ONCE = 64
"""Images that are prepared while others are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackingConfig:
    """How shards are made."""

    name: str = "train"
    """What the names of the shards begin with."""
    shard_size: int = 10_000
    """Samples of a shard."""
    image_size: int = 512
    """Length to which a longer shorter side is reduced [pixels]; 0 leaves files as they are."""
    quality: int = 95
    """Quality of the JPEG files that reduced images become, 1 to 100."""
    shuffle_seed: int = 0
    """Of the order of the pairs; neighbors in a shard are seen near each other in training."""
    nouns: Nouns = "pattern"
    """Who finds the nouns for the index."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not re.fullmatch(r"[\w.-]*\w", self.name, re.ASCII):
            raise InputError(f"name is {self.name!r}; use letters, digits, points and dashes")
        if self.shard_size < 1:
            raise InputError(f"shard_size is {self.shard_size}; give at least 1")
        if self.image_size < 0:
            raise InputError(f"image_size is {self.image_size}; give a length, or 0")
        if not 1 <= self.quality <= 100:
            raise InputError(f"quality is {self.quality}; give 1 to 100")


class Skipped(NamedTuple):
    """A pair that is in no shard."""

    image: Path
    reason: str


class Packed(NamedTuple):
    """What was made."""

    shards: list[Shard]
    skipped: list[Skipped]


class _Ready(NamedTuple):
    """What goes into a shard for a pair."""

    suffix: str
    image: bytes
    text: bytes


def pack(
    pairs: Sequence[Pair],
    out: Path,
    config: PackingConfig,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Packed:
    """Write pairs into shards `NAME-000000.tar`..., with their indexes; all appear at the end.

    Pairs whose image cannot be decoded, or that have no caption, are left out and listed in
    `NAME.skipped.txt`.

    Args:
        pairs: Images and captions.
        out: Folder for the shards.
        config: How shards are made.
        overwrite: Replace the shards of this name that are there.
        progress: Is told how many pairs are done, and of how many.

    Raises:
        InputError: There are shards of this name already, the folder cannot be written, no pair
            can be used, or the tagger is not installed.
    """
    NounFinder(config.nouns)  # rather now than after hours
    old = _there(out, config.name)
    if old and not overwrite:
        raise InputError(f"{old[0]} exists already; choose another name or pass --overwrite")
    with files.temporary_folder(out, config.name) as beside:
        skipped = _write(pairs, beside, config, progress)
        paths = sorted(beside.glob("*.tar"))
        if not paths:
            reason = f"; the first: {skipped[0].image}: {skipped[0].reason}" if skipped else ""
            raise InputError(f"none of the {len(pairs):,} pairs can be used{reason}")
        index.prepare(paths, config.nouns)
        _replace(old, beside, out)
    _list_skipped(skipped, out / f"{config.name}.skipped.txt")
    return Packed(index.prepare([out / path.name for path in paths], config.nouns), skipped)


def _there(out: Path, name: str) -> list[Path]:
    """Shards of this name and their indexes."""
    ours = re.compile(re.escape(name) + r"-\d{6}\.tar(\.index)?")
    return sorted(path for path in out.glob(f"{name}-*") if ours.fullmatch(path.name))


def _write(
    pairs: Sequence[Pair], folder: Path, config: PackingConfig, progress: Progress | None
) -> list[Skipped]:
    order = list(pairs)
    random.Random(config.shuffle_seed).shuffle(order)
    skipped: list[Skipped] = []
    tar: tarfile.TarFile | None = None
    number = 0
    try:
        for done, (pair, ready) in enumerate(_prepared(order, config), start=1):
            if isinstance(ready, str):
                skipped.append(Skipped(pair.image, ready))
            else:
                shard, place = divmod(number, config.shard_size)
                if place == 0:
                    tar = _next(tar, folder / f"{config.name}-{shard:06d}.tar")
                assert tar is not None
                _add(tar, f"{number:09d}.{ready.suffix}", ready.image)
                _add(tar, f"{number:09d}.txt", ready.text)
                number += 1
            if progress is not None:
                progress(done, len(order))
    finally:
        if tar is not None:
            tar.close()
    return skipped


def _next(tar: tarfile.TarFile | None, path: Path) -> tarfile.TarFile:
    if tar is not None:
        tar.close()
    return tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _prepared(pairs: Sequence[Pair], config: PackingConfig) -> Iterator[tuple[Pair, _Ready | str]]:
    """Every pair with what goes into a shard, or with the reason why nothing does."""
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 16)) as threads:
        for first in range(0, len(pairs), _AT_ONCE):
            some = pairs[first : first + _AT_ONCE]
            yield from zip(some, threads.map(lambda p: _prepare(p, config), some), strict=True)


def _prepare(pair: Pair, config: PackingConfig) -> _Ready | str:
    text = "\n".join(pair.captions).encode("utf-8", "replace")
    if not text or len(text) > LARGEST_TEXT:
        return "its captions are too long" if text else "it has no caption"
    try:
        pixels = imaging.read(pair.image)
        data = pair.image.read_bytes()
    except (InputError, OSError) as error:
        return str(error)
    if 0 < config.image_size < min(pixels.shape[:2]):
        data = _reduced(Image.fromarray(pixels), config)
    if len(data) > LARGEST_IMAGE:
        return f"its file has {len(data):,} bytes"
    suffix = next(name for sign, name in _SIGNS.items() if data.startswith(sign))
    return _Ready(suffix, data, text)


def _reduced(image: Image.Image, config: PackingConfig) -> bytes:
    scale = config.image_size / min(image.size)
    size = round(image.width * scale), round(image.height * scale)
    file = io.BytesIO()
    small = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    small.save(file, "JPEG", quality=config.quality)
    return file.getvalue()


def _replace(old: Sequence[Path], beside: Path, out: Path) -> None:
    """Put new shards in the place of old ones."""
    new = sorted(beside.iterdir())
    names = {path.name for path in new}
    for path in new:
        files.replace(path, out / path.name)
    for path in old:
        if path.name not in names:
            path.unlink()


def _list_skipped(skipped: Sequence[Skipped], path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
    if skipped:
        lines = [f"{one.image}\t{one.reason}\n" for one in skipped]
        files.write_text(path, "".join(lines), errors="replace")
