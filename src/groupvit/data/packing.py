"""Packing of images with captions into shards; the same pairs give the same bytes."""

import io
import os
import random
import re
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from groupvit import files, imaging, storage
from groupvit.data import index
from groupvit.data.config import Nouns
from groupvit.data.index import Shard
from groupvit.data.pairs import NO_CAPTION, TOO_LARGE, LeftOut, Pair, StoredImage
from groupvit.data.tar_samples import LARGEST_IMAGE, LARGEST_TEXT
from groupvit.errors import InputError
from groupvit.progress import OnProgress
from groupvit.text.nouns import NounFinder

_SIGNS = {b"\xff\xd8\xff": "jpg", b"\x89PNG": "png", b"RIFF": "webp"}
"""First bytes of the formats of images in shards, which are `imaging.WEB_FORMATS`."""

_TOO_LONG = "its captions are too long"
_UNREADABLE, _MISSING = "its image cannot be read", "its image file is missing"

_AT_ONCE = 64
"""Images prepared at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackingConfig:
    """Settings of packing."""

    name: str = "train"
    """Prefix of the names of the shards."""
    shard_size: int = 10_000
    """Samples in a shard."""
    image_size: int = 512
    """Largest shorter side, to which larger images are reduced [pixels]; 0 keeps all sizes."""
    quality: int = 95
    """JPEG quality of reduced images, and of those in other formats than JPEG, PNG and WebP, 1 to
    100."""
    shuffle_seed: int = 0
    """Seed of the order of the pairs; neighbors in a shard are also near each other in training."""
    nouns: Nouns = "pattern"
    """Tagger that finds the nouns for the index."""

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


class Packed(NamedTuple):
    """Shards, and the rows, files and pairs that were left out."""

    shards: list[Shard]
    skipped: list[LeftOut]


class _Members(NamedTuple):
    """Content of a pair's members in a shard."""

    suffix: str
    image: bytes
    text: bytes


def pack(
    pairs: Sequence[Pair],
    out: Path,
    config: PackingConfig,
    *,
    left_out: Sequence[LeftOut] = (),
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> Packed:
    """Write pairs into shards `NAME-000000.tar`... with their indexes, all or none.

    Pairs whose image cannot be decoded, or without a caption, are left out and listed in
    `NAME.skipped.txt`.

    Args:
        pairs: Images and captions.
        out: Folder of the shards.
        config: The settings.
        left_out: Rows and files that gave no pair; they are listed with the others.
        overwrite: Replace existing shards of this name.
        on_progress: Called after every pair.

    Raises:
        InputError: There are shards of this name already, the folder cannot be written, no pair
            can be used, or the tagger is not installed.
    """
    NounFinder(config.nouns)  # fails now instead of after hours
    files.complete(out, config.name)
    old = _existing(out, config.name)
    if old and not overwrite:
        raise InputError(f"{old[0]} exists already; choose another name or pass --overwrite")
    with files.temporary_folder(out, config.name) as beside:
        skipped = [*left_out, *_write(pairs, beside, config, on_progress)]
        paths = sorted(beside.glob("*.tar"))
        if not paths:
            reason = f"; the first: {_line(skipped[0], ': ')}" if skipped else ""
            raise InputError(f"none of the {len(pairs):,} pairs can be used{reason}")
        index.prepare(paths, config.nouns)
        listed = f"{config.name}.skipped.txt"
        lines = [_line(one, "\t") + "\n" for one in skipped]
        if lines:
            (beside / listed).write_text("".join(lines), encoding="utf-8", errors="replace")
        new = {path.name for path in beside.iterdir()}
        obsolete = {listed, *(path.name for path in old)} - new
        files.replace_all(beside, out, config.name, obsolete=sorted(obsolete))
    return Packed(index.prepare([out / path.name for path in paths], config.nouns), skipped)


@contextmanager
def folder_of(out: str, name: str, *, overwrite: bool) -> Iterator[Path]:
    """Folder for `pack`; that of an address is temporary, and its shards are uploaded at the end.

    Args:
        out: Path, or address of a folder in an object store.
        name: Prefix of the names of the shards.
        overwrite: Replace existing shards of this name.

    Raises:
        InputError: There are shards of this name at the address, or the store refuses.
    """
    if not storage.is_url(out):
        yield Path(out)
        return
    old = sorted(filter(_names(name).fullmatch, storage.names(out)))
    if old and not overwrite:
        raise InputError(
            f"{storage.join(out, old[0])} exists already; choose another name or pass --overwrite"
        )
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
        # Indexes match the time of a file on disk; training makes those of objects by itself.
        new = [path for path in sorted(Path(folder).iterdir()) if path.suffix != index.SUFFIX]
        for path in new:
            storage.put(path, storage.join(out, path.name))
    kept = {path.name for path in new}
    storage.remove([storage.join(out, one) for one in old if one not in kept])


def _names(name: str) -> re.Pattern[str]:
    """Pattern of the names of shards and of their indexes."""
    return re.compile(re.escape(name) + r"-\d{6}\.tar(\.index)?")


def _existing(out: Path, name: str) -> list[Path]:
    """Shards of this name and their indexes."""
    return sorted(path for path in out.glob(f"{name}-*") if _names(name).fullmatch(path.name))


def _write(
    pairs: Sequence[Pair], folder: Path, config: PackingConfig, on_progress: OnProgress | None
) -> list[LeftOut]:
    order = list(pairs)
    random.Random(config.shuffle_seed).shuffle(order)
    skipped: list[LeftOut] = []
    tar: tarfile.TarFile | None = None
    number = 0
    try:
        for done, members in enumerate(_prepared(order, config), start=1):
            if isinstance(members, LeftOut):
                skipped.append(members)
            else:
                shard, place = divmod(number, config.shard_size)
                if place == 0:
                    tar = _next(tar, folder / f"{config.name}-{shard:06d}.tar")
                assert tar is not None
                _add(tar, f"{number:09d}.{members.suffix}", members.image)
                _add(tar, f"{number:09d}.txt", members.text)
                number += 1
            if on_progress is not None:
                on_progress(done, len(order))
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


def _prepared(pairs: Sequence[Pair], config: PackingConfig) -> Iterator[_Members | LeftOut]:
    """Members of a shard of every pair, or the reason why it is left out."""
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 16)) as threads:
        for first in range(0, len(pairs), _AT_ONCE):
            some = pairs[first : first + _AT_ONCE]
            yield from threads.map(lambda pair: _prepare(pair, config), some)


def _prepare(pair: Pair, config: PackingConfig) -> _Members | LeftOut:
    text = "\n".join(pair.captions).encode("utf-8", "replace")
    if not text or len(text) > LARGEST_TEXT:
        return LeftOut(str(pair.image), _TOO_LONG if text else NO_CAPTION)
    try:
        pixels, data = _read(pair.image)
    except (InputError, OSError) as error:
        is_missing = isinstance(pair.image, Path) and not os.path.exists(pair.image)  # noqa: PTH110 - False for a name that is too long
        kind = _MISSING if is_missing else _UNREADABLE
        return LeftOut(str(pair.image), kind, str(error))
    is_large = 0 < config.image_size < min(pixels.shape[:2])
    if is_large or not data.startswith(tuple(_SIGNS)):
        data = _reduced(Image.fromarray(pixels), config)
    if len(data) > LARGEST_IMAGE:
        return LeftOut(str(pair.image), TOO_LARGE, f"it has {len(data):,} bytes")
    suffix = next(name for sign, name in _SIGNS.items() if data.startswith(sign))
    return _Members(suffix, data, text)


def _read(image: Path | StoredImage) -> tuple[np.ndarray, bytes]:
    """Pixels of an image, and its file."""
    if isinstance(image, StoredImage):
        data = image.read()
        return imaging.decode(data, name=image.name, formats=imaging.FORMATS), data
    return imaging.read(image), image.read_bytes()


def _reduced(image: Image.Image, config: PackingConfig) -> bytes:
    scale = min(1, config.image_size / min(image.size)) if config.image_size else 1
    size = round(image.width * scale), round(image.height * scale)
    file = io.BytesIO()
    small = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    small.save(file, "JPEG", quality=config.quality)
    return file.getvalue()


def _line(one: LeftOut, separator: str) -> str:
    reason = f"{one.kind}: {one.detail}" if one.detail else one.kind
    return f"{one.where}{separator}{reason}"
