"""Writing of the cache of trunk features, shard by shard, on all ranks."""

import random
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.lib import format as npy
from torch import Tensor

from groupvit import files
from groupvit.data.augmentation import augment
from groupvit.data.config import AugmentationConfig, DataConfig
from groupvit.data.decoding import DamagedError, decode
from groupvit.data.features import FeatureCache
from groupvit.data.shards import Reader
from groupvit.distributed import Ranks
from groupvit.errors import InputError
from groupvit.progress import OnProgress
from groupvit.weights.efficientnet import Pretrained

CROPS_AT_ONCE = 32
"""Crops that go through the trunk together."""
_NORMALIZED = AugmentationConfig(flip=False, rand_augment_ops=0, erasing=0.0)

Crops = UInt8[np.ndarray, "crop height width 3"] | None
"""Crops of an image; None: it is damaged."""


def write(
    cache: FeatureCache,
    pretrained: Pretrained,
    config: DataConfig,
    ranks: Ranks,
    *,
    on_progress: OnProgress | None = None,
) -> None:
    """Write the files that are missing; each rank writes some, and all wait for the last.

    All ranks must call it.

    Args:
        cache: The cache, after `check`.
        pretrained: Trunk and classifier of its manifest.
        config: Settings of its manifest.
        ranks: Processes that share the folder.
        on_progress: Called with the images that this rank has done, and all that it has to.

    Raises:
        InputError: The disk is full, a shard cannot be read, or the ranks do not share the folder.
    """
    if ranks.is_main:
        cache.prepare()
    ranks.barrier()
    missing = cache.missing()
    ranks.barrier()  # the files of a rank are missing for all
    own = [shard for shard in missing if shard % ranks.world_size == ranks.rank]
    total = sum(cache.shards[shard].num_samples for shard in own)
    trunk = _Trunk(pretrained, cache, ranks.device)
    done = 0
    for shard in own:
        for count in _write(cache, shard, trunk, config):
            done += count
            if on_progress is not None:
                on_progress(done, total)
    ranks.barrier()
    absent = cache.missing()
    if absent:
        raise InputError(
            f"{cache.path(absent[0])} is missing, which another rank has written; put data.cache "
            "on a disk that all ranks share"
        )


class _Trunk:
    """Pretrained network that turns crops into records."""

    def __init__(self, pretrained: Pretrained, cache: FeatureCache, device: torch.device) -> None:
        self._trunk = pretrained.trunk.to(device)
        self._classifier = pretrained.classifier.to(device)
        self._record, self._num_classes = cache.manifest.record, cache.manifest.num_classes
        self._device = device

    @torch.inference_mode()
    def __call__(self, crops: UInt8[np.ndarray, "crop height width 3"]) -> np.ndarray:
        """Records of some crops."""
        pixels = torch.from_numpy(crops).to(self._device).movedim(-1, 1)
        unused = torch.Generator(self._device)
        middle = self._trunk.lower(augment(pixels, _NORMALIZED, generator=unused)).middle
        logits = self._classifier(self._trunk.upper(middle).head)
        likely = logits.softmax(dim=1).topk(self._num_classes, dim=1)
        records = np.zeros(len(crops), self._record)
        records["middle"] = _numpy(middle)
        records["class_ids"] = _numpy(likely.indices)
        records["class_probabilities"] = _numpy(likely.values)
        return records


def _numpy(x: Tensor) -> np.ndarray:
    return x.cpu().numpy()


class _Source(NamedTuple):
    """Images of a shard, and how to crop them."""

    reader: Reader
    config: DataConfig
    key: str
    """Beginning of the seeds of the samples."""
    image_size: int


def _write(cache: FeatureCache, shard: int, trunk: _Trunk, config: DataConfig) -> Iterator[int]:
    """Write the file of a shard; gives the number of images after each part."""
    manifest, shape = cache.manifest, cache.shape(shard)
    key = f"{manifest.seed}/{cache.digests[shard]}"
    source = _Source(Reader(cache.shards[shard]), config, key, manifest.image_size)
    with files.new_file(cache.path(shard)) as beside, beside.open("wb") as file:
        _write_header(file, manifest.record, shape)
        for images in _decoded(source, shape[0]):
            records = np.zeros((len(images), shape[1]), manifest.record)
            records["damaged"] = 1
            whole = [row for row, crops in enumerate(images) if crops is not None]
            if whole:
                crops = np.concatenate([crops for crops in images if crops is not None])
                records[whole] = trunk(crops).reshape(len(whole), shape[1])
            file.write(records.tobytes())
            yield len(images)


def _write_header(file: BinaryIO, record: np.dtype[np.void], shape: tuple[int, int]) -> None:
    # The file is written in order, not mapped: a full disk is an error then, and no signal.
    values = {"descr": npy.dtype_to_descr(record), "fortran_order": False, "shape": shape}
    npy.write_array_header_2_0(file, values)


def _decoded(source: _Source, num_samples: int) -> Iterator[list[Crops]]:
    """Crops of all images in order, some images at a time, decoded while the trunk works."""
    step = max(1, CROPS_AT_ONCE // source.config.cached_crops)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        coming: list[Future[Crops]] = []
        for start in range(0, num_samples + step, step):
            samples = range(start, min(start + step, num_samples))
            ready, coming = coming, [pool.submit(partial(_crops, source, n)) for n in samples]
            if ready:
                yield [future.result() for future in ready]


def _crops(source: _Source, sample: int) -> Crops:
    """Random crops of an image, half of them flipped, the same whenever they are drawn."""
    generator = random.Random(f"{source.key}/{sample}")
    data, config = source.reader.image(sample), source.config
    crops = []
    for _ in range(config.cached_crops):
        try:
            crop = decode(data, config, generator, image_size=source.image_size).pixels
        except DamagedError:
            return None
        flipped = config.augmentation.flip and generator.random() < 0.5
        crops.append(crop[:, ::-1] if flipped else crop)
    return np.stack(crops)
