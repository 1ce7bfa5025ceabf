"""Cache of trunk features: a few random crops of every image, computed once and read in training.

The cache is a folder. `manifest.json` states what it holds: the trunk and a digest of its weights,
crops, seed and sizes. Each shard has a file `NAME-DIGEST.npy`, named by the shard's fingerprint: a
NumPy array (sample, crop) of records, of which readers map the file and touch what they need:

- `middle`, float16 (channel, row, column): map of stride 16 of the lower half of the trunk.
- `class_ids`, int16, and `class_probabilities`, float16 (class, row, column): the 16 most probable
  classes of ImageNet at each place of the map of stride 32, by the pretrained classifier.
- `damaged`, int16: 1 if the image could not be decoded; the other fields are zeros then.

Files appear whole. A cache whose writing was interrupted is continued with the next shard.
`groupvit.data.feature_writing` writes it.
"""

import shutil
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from groupvit import files
from groupvit.config import differences, from_values, to_values
from groupvit.data.batch import TrunkFeatures
from groupvit.data.config import DataConfig
from groupvit.data.decoding import DamagedError
from groupvit.data.index import Shard
from groupvit.data.remote import fingerprint_of
from groupvit.data.shards import OPEN_FILES
from groupvit.errors import InputError
from groupvit.model.efficientnet import Variant, middle_dim
from groupvit.values import read_json
from groupvit.weights.checkpoint import as_json
from groupvit.weights.efficientnet import Pretrained

FORMAT = "groupvit-features-1"
"""Value of `format` in the manifest."""
MANIFEST = "manifest.json"
NUM_CLASSES = 16
"""Classes that are kept at each place."""
MIDDLE_STRIDE, COARSE_STRIDE = 16, 32
"""Pixels between the places of the maps."""
_MARGIN = 64 * 2**20
"""Space on the disk that stays free [bytes]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Contents of a cache; caches of the same shards and equal manifests are equal."""

    trunk: Variant
    """Size of the trunk."""
    weights: str
    """Digest of the weights of trunk and classifier."""
    crops: int
    """Crops of each image."""
    seed: int
    """Seed of the crops."""
    image_size: int
    """Height and width of a crop [pixels]."""
    crop_scale_min: float
    crop_scale_max: float
    crop_ratio_min: float
    crop_ratio_max: float
    flip: bool
    """True if half of the crops are flipped left to right."""
    dtype: str = "float16"
    """Type of maps and probabilities."""
    num_classes: int = NUM_CLASSES
    """Classes that are kept at each place."""

    @classmethod
    def of(
        cls, config: DataConfig, trunk: Variant, weights: str, *, seed: int, image_size: int
    ) -> "Manifest":
        """Manifest of the cache of a run.

        Args:
            config: Settings of the data.
            trunk: Size of the trunk.
            weights: Digest of its weights, see `digest`.
            seed: Seed of the crops.
            image_size: Height and width of the crops [pixels].
        """
        return cls(
            trunk=trunk,
            weights=weights,
            crops=config.cached_crops,
            seed=seed,
            image_size=image_size,
            crop_scale_min=config.crop_scale_min,
            crop_scale_max=config.crop_scale_max,
            crop_ratio_min=config.crop_ratio_min,
            crop_ratio_max=config.crop_ratio_max,
            flip=config.augmentation.flip,
        )

    @property
    def record(self) -> np.dtype[np.void]:
        """Type of the record of a crop."""
        middle, coarse = (-(-self.image_size // s) for s in (MIDDLE_STRIDE, COARSE_STRIDE))
        classes = (self.num_classes, coarse, coarse)
        return np.dtype(
            [
                ("middle", "<f2", (middle_dim(self.trunk), middle, middle)),
                ("class_ids", "<i2", classes),
                ("class_probabilities", "<f2", classes),
                ("damaged", "<i2"),
            ]
        )


class FeatureCache:
    """Stored features of some shards.

    Can be sent to other processes; each maps the files itself.

    Args:
        folder: Folder of the cache, which need not exist yet.
        manifest: Contents that it has or is to have.
        shards: Shards of the run.

    Raises:
        InputError: A shard cannot be read.
    """

    def __init__(self, folder: Path, manifest: Manifest, shards: Sequence[Shard]) -> None:
        self.folder, self.manifest, self.shards = folder, manifest, tuple(shards)
        self.digests = tuple(fingerprint_of(shard.tar).digest for shard in shards)
        self._open: OrderedDict[int, np.ndarray] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": OrderedDict()}

    def path(self, shard: int) -> Path:
        """File of a shard."""
        name = f"{self.shards[shard].path.stem}-{self.digests[shard]}.npy"
        return self.folder / name

    def shape(self, shard: int) -> tuple[int, int]:
        """Number of samples of a shard, and of crops of each."""
        return self.shards[shard].num_samples, self.manifest.crops

    def missing(self) -> list[int]:
        """Shards without a file."""
        return [shard for shard in range(len(self.shards)) if not self.path(shard).exists()]

    def num_bytes(self, shards: Sequence[int] | None = None) -> int:
        """Size of the files of these shards, or of all, written or not [bytes]."""
        chosen = range(len(self.shards)) if shards is None else shards
        num_records = sum(self.shards[shard].num_samples for shard in chosen)
        return num_records * self.manifest.crops * self.manifest.record.itemsize

    def record(self, shard: int, sample: int, crop: int) -> np.void:
        """Record of a crop.

        Raises:
            DamagedError: The image could not be decoded.
            InputError: The file is missing or damaged.
        """
        record: np.void = self._records(shard)[sample, crop]
        if record["damaged"]:
            raise DamagedError("it could not be decoded when its features were stored")
        return record

    def classes(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Likeliest classes of all crops of a shard, and their probabilities, shard by shard."""
        for shard in range(len(self.shards)):
            records = self._records(shard)
            yield records["class_ids"], records["class_probabilities"].astype(np.float32)

    def _records(self, shard: int) -> np.ndarray:
        if shard not in self._open:
            self._open[shard] = self._mapped(shard)
            if len(self._open) > OPEN_FILES:
                self._open.popitem(last=False)
        self._open.move_to_end(shard)
        return self._open[shard]

    def _mapped(self, shard: int) -> np.ndarray:
        path = self.path(shard)
        try:
            records: np.ndarray = np.load(path, mmap_mode="r")
            if records.dtype != self.manifest.record or records.shape != self.shape(shard):
                raise ValueError("it holds other features")
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"{path} cannot be read ({error}); delete it and start again, so that it is rebuilt"
            ) from error
        return records

    def check(self, *, rebuild: bool) -> None:
        """Check that the folder holds nothing, or features of this manifest; nothing is written.

        Args:
            rebuild: True to let other features be replaced.

        Raises:
            InputError: It holds other features, something else, or cannot be read.
        """
        stored = self._stored()
        if stored is None and self.folder.exists() and any(self.folder.glob("[!.]*")):
            raise InputError(
                f"{self.folder} holds something else than features; name another data.cache"
            )
        found = differences(stored, self.manifest) if stored else {}
        if found and not rebuild:
            name, (before, now) = next(iter(found.items()))
            raise InputError(
                f"{self.folder} holds features of other settings ({name} was {before!r} and is "
                f"{now!r}); name another data.cache, or pass --changed data.cache to replace them"
            )

    def prepare(self) -> None:
        """Make the folder, remove what killed processes and other manifests left, write the own.

        Raises:
            InputError: The folder cannot be written, or the disk has too little space.
        """
        files.make_folder(self.folder)
        files.remove_leftovers(self.folder)
        if self._stored() not in (None, self.manifest):
            for path in self.folder.glob(f"*-{'[0-9a-f]' * 32}.npy"):
                path.unlink()
        needed, free = self.num_bytes(self.missing()), shutil.disk_usage(self.folder).free
        if needed and needed + _MARGIN > free:
            raise InputError(
                f"the features need {needed / 1e9:,.2f} GB in {self.folder}, which has "
                f"{free / 1e9:,.2f} GB left; name another data.cache, or lower data.cached_crops"
            )
        values = {"format": FORMAT, **to_values(self.manifest)}
        files.write_text(self.folder / MANIFEST, as_json(values))

    def _stored(self) -> Manifest | None:
        """Manifest in the folder; None if there is none."""
        path = self.folder / MANIFEST
        try:
            values = read_json(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read ({error}); delete the folder") from error
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise InputError(f"{path} is no manifest of features; name another data.cache")
        return from_values(Manifest, values, where=str(path))

    def summary(self) -> str:
        """Contents and size in one line."""
        num_images = sum(shard.num_samples for shard in self.shards)
        return (
            f"{self.folder}: features of {self.manifest.crops} crops of {num_images:,} images, "
            f"{self.num_bytes() / 1e6:,.1f} MB"
        )


def features_of(records: np.ndarray) -> TrunkFeatures:
    """Features of a batch of records."""
    names = TrunkFeatures._fields
    return TrunkFeatures(*(torch.from_numpy(np.ascontiguousarray(records[n])) for n in names))


def digest(pretrained: Pretrained) -> str:
    """Digest of the weights of trunk and classifier."""
    content = blake2b(digest_size=16)
    modules: tuple[nn.Module, ...] = (pretrained.trunk, pretrained.classifier)
    for module in modules:
        for name, tensor in sorted(module.state_dict().items()):
            content.update(name.encode())
            content.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()
