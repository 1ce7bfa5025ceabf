"""Cache of trunk features of a run: checked before its start, completed before its first step."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from groupvit.data import feature_writing, features
from groupvit.data.batch import TrunkFeatures
from groupvit.data.features import FeatureCache, Manifest
from groupvit.data.loader import Batches
from groupvit.distributed import Ranks
from groupvit.model.part_encoder import VARIANTS
from groupvit.progress import bar
from groupvit.training.config import TrainingConfig
from groupvit.training.run_folder import RunFolder
from groupvit.weights import efficientnet
from groupvit.weights.efficientnet import Pretrained

FOLDER = "features"
"""Folder of the cache in a run folder."""


class Cached(NamedTuple):
    """The cache of a run, the network that fills it, and the batches that read from it."""

    cache: FeatureCache
    pretrained: Pretrained
    batches: Batches


def checked(config: TrainingConfig, batches: Batches | None, *, rebuild: bool) -> Cached | None:
    """The cache of a run, of which nothing is written yet; None if it has none.

    Args:
        config: Settings of the run.
        batches: Batches with captions; None: there are none.
        rebuild: True to let features of other settings be replaced.

    Raises:
        InputError: The folder holds other features, or the weights of the trunk are not installed.
    """
    if batches is None or not config.data.cached_crops:
        return None
    pretrained = efficientnet.load(VARIANTS[config.model.image.stem])
    manifest = _manifest(config, features.digest(pretrained))
    cache = FeatureCache(folder(config), manifest, batches.shards)
    cache.check(rebuild=rebuild)
    return Cached(cache, pretrained, batches)


def folder(config: TrainingConfig) -> Path:
    """Folder of the cache of a run."""
    return Path(config.data.cache) if config.data.cache else RunFolder.of(config.out).path / FOLDER


def num_bytes(config: TrainingConfig, num_images: int) -> int:
    """Size of the features of so many images [bytes]."""
    return num_images * config.data.cached_crops * _manifest(config, "").record.itemsize


def empty(config: TrainingConfig, num_images: int) -> TrunkFeatures:
    """Features of a batch, all zero."""
    return features.features_of(np.zeros(num_images, _manifest(config, "").record))


def _manifest(config: TrainingConfig, weights: str) -> Manifest:
    variant = VARIANTS[config.model.image.stem]
    # The crops do not depend on the seed of the run, so that runs of several seeds share a cache.
    return Manifest.of(config.data, variant, weights, seed=0, image_size=config.image_size)


def complete(cached: Cached, config: TrainingConfig, ranks: Ranks, console: Console) -> None:
    """Write what is missing in the cache, and let the batches read from it.

    Raises:
        InputError: The disk is full, or a shard cannot be read.
    """
    cache, pretrained, batches = cached
    with bar("images", console) as progress:
        task = progress.add_task("storing features", total=None)
        feature_writing.write(
            cache,
            pretrained,
            config.data,
            ranks,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    console.print(cache.summary(), markup=False)
    batches.read_from(cache)
