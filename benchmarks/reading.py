"""Data loading alone: from tar shards to batches of uint8, on one core.

Theirs is webdataset with Pillow as commonly written: decode, random crop, resize. Ours also draws a
caption and three prompts, tokenizes them, and returns the same samples for the same seed; theirs
reads images only.
"""

import io
import random
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import webdataset
from PIL import Image

from benchmarks.contest import markdown
from groupvit.data.config import DataConfig
from groupvit.data.decoding import draw_box
from groupvit.data.loader import Batches
from groupvit.storybook.scene import scene
from groupvit.text.tokenizer import Tokenizer

SIZES = ((640, 480), (320, 240))
"""Width and height of the images in the shards [pixels]."""
IMAGES, BATCH, SIDE = 256, 32, 224


def tables(rounds: int) -> Iterator[tuple[str, str]]:
    """Table with a row for each image size."""
    rows = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            shard = Path(folder) / "pairs-000000.tar"
            write(shard, size)
            config = DataConfig(shards=(str(shard),), batch_size=BATCH)
            batches = Batches(config, Tokenizer(), seed=0, image_size=SIDE)
            rates: tuple[list[float], list[float]] = ([], [])
            for epoch in range(rounds + 1):
                rates[0].append(ours(batches, epoch))
                rates[1].append(theirs(shard, config))
            mine, other = (float(np.median(some[1:])) for some in rates)
        name = f"{size[0]} x {size[1]} px, crops of {SIDE}"
        rows.append([name, f"{mine:.0f}/s", f"{other:.0f}/s", f"**{mine / other:.1f}**"])
    torch.set_num_threads(threads)
    yield "reading", markdown(("", "ours", "webdataset and Pillow", "ratio"), rows)


def ours(batches: Batches, epoch: int) -> float:
    """Images per second of our loader, with texts."""
    start = time.perf_counter()
    steps = batches.steps_per_epoch
    for step in range(epoch * steps, (epoch + 1) * steps):
        batches[step]
    return steps * BATCH / (time.perf_counter() - start)


def theirs(shard: Path, config: DataConfig) -> float:
    """Images per second of webdataset, without texts."""
    generator = random.Random(0)

    def crop(image: Image.Image) -> np.ndarray:
        box = draw_box(*image.size, config, generator)
        whole = image.crop(tuple(round(edge) for edge in box))
        return np.asarray(whole.resize((SIDE, SIDE), Image.Resampling.BILINEAR))

    data = webdataset.WebDataset(str(shard), shardshuffle=False).shuffle(100).decode("pil")
    start, count = time.perf_counter(), 0
    for batch in data.to_tuple("jpg").map_tuple(crop).batched(BATCH):
        torch.from_numpy(np.stack(batch[0])).permute(0, 3, 1, 2).contiguous()
        count += len(batch[0])
    return count / (time.perf_counter() - start)


def write(path: Path, size: tuple[int, int]) -> None:
    """Write a shard of drawn scenes with the size and JPEG quality of photographs."""
    with tarfile.open(path, "w") as tar:
        for index in range(IMAGES):
            page, file = scene(index, size=128), io.BytesIO()
            Image.fromarray(page.image).resize(size, Image.Resampling.BICUBIC).save(
                file, "jpeg", quality=90
            )
            for suffix, data in {"jpg": file.getvalue(), "txt": page.captions[0].encode()}.items():
                member = tarfile.TarInfo(f"{index:05}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
