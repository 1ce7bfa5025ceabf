"""Shards of drawn images with captions, sound and damaged."""

import io
import json
import tarfile

import numpy as np
from PIL import Image

WORDS = ("dog", "cat", "boat", "horse", "tree", "house", "train", "bird")


def photo(seed=0, height=24, width=32):
    """Smooth colors that differ with the seed."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (4 + seed % 5)), np.cos(y / (3 + seed % 7)), np.sin((x + y) / 6 + seed)]
    return np.stack([127.5 + 120 * wave for wave in waves], axis=-1).astype(np.uint8)


def encoded(pixels, kind="JPEG", **options):
    """The bytes of an image file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def write_tar(path, members):
    """Write members, pairs of name and bytes or text, in their order."""
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            data = content if isinstance(content, bytes) else content.encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def sample(number, *, captions=None):
    """An image that tells its number by its brightness, and captions that name it."""
    key = f"{number:06d}"
    value = np.full((24, 32, 3), 3 * (number % 80), dtype=np.uint8)
    word = WORDS[number % len(WORDS)]
    captions = captions or [f"a {word} near number {number}", f"the {word} on a hill, {number}"]
    return [(f"{key}.jpg", encoded(value, quality=100)), (f"{key}.txt", "\n".join(captions))]


def write_shards(folder, *sizes):
    """Shards of so many samples, numbered through; gives their pattern."""
    folder.mkdir(exist_ok=True)
    number = 0
    for shard, size in enumerate(sizes):
        members = [part for n in range(number, number + size) for part in sample(n)]
        write_tar(folder / f"train-{shard:03d}.tar", members)
        number += size
    return str(folder / f"train-{{000..{len(sizes) - 1:03d}}}.tar")


def as_json(**values):
    """The text of a JSON file."""
    return json.dumps(values)
