"""Data of a run: batches of shards with captions, of folders with masks, or of both in shares."""

from collections.abc import Sequence
from typing import NamedTuple

from groupvit.data.config import DataConfig
from groupvit.data.fingerprint import Fingerprint, of_folder
from groupvit.data.index import Shard
from groupvit.data.loader import Batches
from groupvit.data.mixture import Mixture
from groupvit.distributed import Ranks
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.files import Files
from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.benchmarks.mask_survey import checked
from groupvit.model.config import TRUNKS
from groupvit.progress import OnProgress
from groupvit.text.tokenizer import Tokenizer
from groupvit.training.config import TrainingConfig
from groupvit.training.label_set import LabelSet, check_held_out, label_set
from groupvit.training.mask_batches import MaskBatches


class Sources(NamedTuple):
    """Batches of this rank, by where they come from."""

    captions: Batches | None
    """Batches with captions; None: there are none."""
    masks: tuple[MaskBatches, ...]
    """Batches with masks of each folder."""
    share: float
    """Share of the steps that have masks."""

    @property
    def shards(self) -> Sequence[Shard]:
        """Shards with captions."""
        return () if self.captions is None else self.captions.shards

    @property
    def names(self) -> tuple[str, ...]:
        """Class names that are distilled or have masks."""
        distilled = () if self.captions is None else self.captions.class_names
        words = (word for one in self.masks for some in one.labels.words for word in some)
        return tuple(dict.fromkeys((*distilled, *words)))

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Samples and captions of each shard, then images and labels of each folder."""
        of_shards = ((shard.num_samples, shard.num_captions) for shard in self.shards)
        return (*of_shards, *((len(one), len(one.labels.words)) for one in self.masks))

    def fingerprints(self) -> dict[str, Fingerprint]:
        """Fingerprint of each folder with masks, by its name."""
        found = {}
        for files in (one.labels.files for one in self.masks):
            paths = [path for pair in files.pairs for path in pair]
            found[files.name] = of_folder(paths, "\n".join(files.classes))
        return found

    def mixed(self) -> Mixture:
        """Batches by step; folders share those with masks by their numbers of images."""
        masks = Mixture(self.masks, [float(len(one)) for one in self.masks]) if self.masks else None
        both = ((self.captions, 1 - self.share), (masks, self.share))
        given = [(source, share) for source, share in both if source is not None]
        return Mixture(*map(list, zip(*given, strict=True)))


def opened(
    config: TrainingConfig, ranks: Ranks, *, on_progress: OnProgress | None = None
) -> Sources:
    """Read what the data of a run hold; mistakes are reported now, not hours later.

    Args:
        config: Settings of the run.
        ranks: This process, and those that train with it.
        on_progress: Called after every shard whose index is read or built, and after every mask.

    Raises:
        InputError: Shards, folders or masks cannot be used, or settings do not fit them.
    """
    tokenizer = Tokenizer(config.model.text.vocabulary_size)
    data = config.data
    captions = None
    if not data.masks or data.mask_share < 1:
        captions = Batches(
            data,
            tokenizer,
            seed=config.seed,
            rank=ranks.rank,
            world_size=ranks.world_size,
            image_size=config.image_size,
            context_length=config.model.text.context_length,
            on_progress=on_progress,
        )
    elif data.shards or data.sources:
        name = "data.shards" if data.shards else "data.sources"
        raise InputError(
            f"data.mask_share is {data.mask_share}, so that {name} have no effect; lower it "
            f"to mix masks with captions, or leave out {name}"
        )
    masks = tuple(
        MaskBatches(
            labels,
            data,
            tokenizer,
            seed=config.seed,
            rank=ranks.rank,
            world_size=ranks.world_size,
            image_size=config.image_size,
            context_length=config.model.text.context_length,
        )
        for labels in _label_sets(config, on_progress)
    )
    return Sources(captions, masks, data.mask_share)


def _label_sets(config: TrainingConfig, on_progress: OnProgress | None) -> list[LabelSet]:
    """Labels of every folder with masks."""
    data = config.data
    if not data.masks:
        _refuse_without_masks(config)
        return []
    _check(config)
    sets = [
        label_set(_folder(folder, data, on_progress), data, config.inference.background_words)
        for folder in data.masks
    ]
    check_held_out(sets, data, config.inference.background_words)
    return sets


def _folder(folder: str, data: DataConfig, on_progress: OnProgress | None) -> Files:
    """Images and masks of a folder, whose masks were checked as in an evaluation."""
    orientation = None if data.mask_orientation == "refuse" else data.mask_orientation
    try:
        files = read_folder(folder, mask_values=data.mask_values, mask_orientation=orientation)
        checked(files, on_progress=on_progress)
    except InputError as error:  # its options have another name here
        raise InputError(str(error).replace("--mask-", "--data.mask-")) from error
    return files


def _check(config: TrainingConfig) -> None:
    """Refuse settings that masks cannot be trained with."""
    if not config.start or "text" not in config.freeze:
        raise InputError(
            "data.masks train the image encoder alone, toward the texts of a model that knows "
            "words from captions; give start (such as photos) and freeze text"
        )
    augmentation = config.data.augmentation
    if augmentation.rand_augment_ops or augmentation.erasing:
        raise InputError(
            "data.augmentation.rand_augment_ops and erasing would move pixels away from their "
            "masks (data.masks); set both to 0"
        )
    if config.inference.naming == "segments" and config.model.image.stem in TRUNKS:
        raise InputError(
            "inference.naming is 'segments', but model.image.grouping 'rounds' has no weights that "
            "masks could train by them; take naming 'parts'"
        )
    if config.inference.naming == "segments" and config.model.spatial:
        raise InputError(
            "model.spatial regularizes maps of patches, which inference.naming 'segments' does not "
            "have; take naming 'levels' or 'parts', or leave model.spatial out"
        )


def _refuse_without_masks(config: TrainingConfig) -> None:
    """Refuse settings that only masks use."""
    data = config.data
    for name in ("held_out", "mask_values"):
        if getattr(data, name):
            raise InputError(f"data.{name} has no effect without data.masks; give both or neither")
    if config.model.spatial and not config.start:
        raise InputError(
            "model.spatial is learned from masks, and there are none; give data.masks, or leave it "
            "out"
        )
