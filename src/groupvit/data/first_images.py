"""The first images of shards, for statistics that a run begins with."""

import random
from collections.abc import Iterator, Sequence
from math import ceil

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from groupvit.data.config import DataConfig
from groupvit.data.decoding import DamagedError, decode
from groupvit.data.index import Shard
from groupvit.data.shards import Shards
from groupvit.errors import InputError


def first_images(
    shards: Sequence[Shard], config: DataConfig, *, count: int, image_size: int
) -> UInt8[Tensor, "image 3 height width"]:
    """Random crops of the first images of every shard, always the same for the same shards.

    Args:
        shards: Shards, each of which gives about as many images.
        config: Settings of the crops.
        count: Number of images; fewer if the shards hold fewer, or if some are damaged.
        image_size: Height and width of the crops [pixels].

    Raises:
        InputError: No image can be decoded.
    """
    found = [
        crop.transpose(2, 0, 1)
        for crop in _crops(shards, config, ceil(count / len(shards)), image_size)
    ][:count]
    if not found:
        raise InputError("none of the first images of the shards can be decoded; get whole copies")
    return torch.from_numpy(np.stack(found))


def _crops(
    shards: Sequence[Shard], config: DataConfig, each: int, image_size: int
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    readers = Shards(shards)
    for number, shard in enumerate(shards):
        for sample in range(min(each, shard.num_samples)):
            generator = random.Random(f"first/{number}/{sample}")
            try:
                data = readers.reader(number).image(sample)
                yield decode(data, config, generator, image_size=image_size).pixels
            except DamagedError:
                continue
