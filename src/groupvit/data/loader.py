"""Batches by step, and a stream of them prepared by worker processes."""

import multiprocessing
import random
import signal
from collections.abc import Generator, Sequence
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch.utils.data import DataLoader

from groupvit.data import captions, index, patterns
from groupvit.data.batch import Batch, ClassPrompts
from groupvit.data.class_prompts import ClassNames, DrawnNames
from groupvit.data.config import DataConfig
from groupvit.data.decoding import DamagedError, decode
from groupvit.data.features import FeatureCache, features_of
from groupvit.data.mixture import Source
from groupvit.data.noun_counts import LEAST, NounCounts, count
from groupvit.data.order import Order
from groupvit.data.shards import Shards
from groupvit.data.weighted_order import WeightedOrder
from groupvit.errors import InputError
from groupvit.progress import OnProgress
from groupvit.text.joined_classes import distinct_names
from groupvit.text.templates import load_templates
from groupvit.text.tokenizer import Tokenizer

MOST_DAMAGED = 20
"""Consecutive unreadable samples after which a shard is regarded as lost."""


_Crop = UInt8[np.ndarray, "height width 3"] | np.void
"""A cropped image, or the record of its stored features."""


class _Sample(NamedTuple):
    """A cropped image with its texts."""

    crop: _Crop
    texts: captions.Texts
    names: DrawnNames | None
    """Prompts of class names; None: none are drawn."""
    is_damaged: bool
    """True if it lacks its last bytes, or replaces a sample that cannot be read."""


class Batches:
    """Batches of one rank: `batches[step]` depends on the arguments here and the step alone.

    All ranks together get at a step the samples of one process with the joint batch size, in the
    same order. Each epoch visits every sample once, in another order, except the few at its end
    that do not fill a batch. Of several sources (`DataConfig.sources`) each gives its share of
    every batch, and is visited again and again (`WeightedOrder`).

    Args:
        config: Settings of the data.
        tokenizer: Tokenizer of captions and prompts.
        seed: Seed of the order, the crops, and the draws of captions, nouns and templates.
        rank: Index of this process.
        world_size: Number of processes that train together.
        image_size: Height and width of the images [pixels].
        context_length: Most tokens that the text encoder reads.
        on_progress: Called after every shard whose index is read or built.

    Raises:
        InputError: A shard is missing or no tar file, all together hold less than a batch of all
            ranks, or the tagger is not installed.
    """

    def __init__(
        self,
        config: DataConfig,
        tokenizer: Tokenizer,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        image_size: int = 224,
        context_length: int = 77,
        on_progress: OnProgress | None = None,
    ) -> None:
        assert 0 <= rank < world_size
        self._config, self._tokenizer = config, tokenizer
        self._seed, self._rank, self._world_size = seed, rank, world_size
        self._image_size, self._context_length = image_size, context_length
        self._templates = load_templates(config.templates)
        given = [source.shards for source in config.sources] or [config.shards]
        of_sources = [patterns.expand(one, copies=config.copies) for one in given]
        tars = [tar for some in of_sources for tar in some]
        first = rank * len(tars) // world_size
        self.shards = index.prepare(tars, config.nouns, first=first, on_progress=on_progress)
        self._readers = Shards(self.shards)
        self.num_samples = sum(shard.num_samples for shard in self.shards)
        self.steps_per_epoch = self.num_samples // (config.batch_size * world_size)
        if self.steps_per_epoch == 0:
            raise InputError(
                f"the shards hold {self.num_samples:,} samples, less than one batch of "
                f"{config.batch_size * world_size:,} ({config.batch_size} for each of {world_size} "
                f"ranks){index.describe_damage(self.shards)}; give more shards or a smaller "
                "batch_size"
            )
        self._order = self._ordered(list(map(len, of_sources)))
        self._of_image = config.nouns_of == "image"
        self._counts: NounCounts | None = None
        if self._of_image or config.merge_plurals:
            self._counts = count(self.shards, merge_plurals=config.merge_plurals)
        self._cache: FeatureCache | None = None
        self._class_names: ClassNames | None = None

    def _ordered(self, num_shards: Sequence[int]) -> Order | WeightedOrder:
        """Order of the samples.

        Args:
            num_shards: Number of shards of each source.
        """
        sizes = tuple(shard.num_samples for shard in self.shards)
        sources = self._config.sources
        if not sources:
            return Order(sizes=sizes, seed=self._seed)
        ends = list(accumulate(num_shards, initial=0))
        of_sources = tuple(sizes[start:end] for start, end in pairwise(ends))
        for source, some in zip(sources, of_sources, strict=True):
            if not sum(some):
                raise InputError(f"the source {source.shards[0]!r:.200} holds no samples")
        return WeightedOrder(
            sizes=of_sources,
            weights=tuple(source.weight for source in sources),
            seed=self._seed,
            epoch=self.steps_per_epoch * self._config.batch_size * self._world_size,
        )

    def read_from(self, cache: FeatureCache) -> None:
        """Give stored features in place of images from now on.

        Args:
            cache: Complete cache of `shards`.
        """
        self._cache = cache
        if self._config.class_prompts:
            self._class_names = ClassNames(cache, self._known_nouns())

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names that a classifier gives to the images; empty without prompts of them."""
        return distinct_names(self._known_nouns()) if self._config.class_prompts else ()

    def _known_nouns(self) -> frozenset[str]:
        """Nouns under which classes are joined."""
        assert self._counts is not None
        return frozenset(noun for noun, num in self._counts.images.items() if num >= LEAST)

    def __getitem__(self, step: int) -> Batch:
        """The batch of this rank at a step, counted from 0 over all epochs.

        Raises:
            InputError: Too many consecutive samples of a shard are damaged.
        """
        epoch, step = divmod(step, self.steps_per_epoch)
        size, side = self._config.batch_size, self._image_size
        first = (step * self._world_size + self._rank) * size
        shards, samples = self._order.locate(epoch, range(first, first + size))
        crops: np.ndarray = np.empty((size, side, side, 3), dtype=np.uint8)
        if self._cache is not None:
            crops = np.empty(size, self._cache.manifest.record)
        texts: list[str] = []
        prompt_nouns, caption_nouns, log_priors, damaged = [], [], [], 0
        drawn_names: list[DrawnNames] = []
        for row, (shard, sample) in enumerate(zip(shards.tolist(), samples.tolist(), strict=True)):
            generator = random.Random(f"{self._seed}/{epoch}/{first + row}")
            read = self._read(shard, sample, generator)
            crops[row] = read.crop
            texts += read.texts.texts
            if read.names is not None:
                texts += read.names.texts
                drawn_names.append(read.names)
            prompt_nouns.append(read.texts.prompt_nouns)
            caption_nouns.append(read.texts.caption_nouns)
            log_priors.append(read.texts.log_priors)
            damaged += read.is_damaged
        tokens = self._tokenizer(texts, context_length=self._context_length)
        pixels = np.empty((size, 0, 0, 3), dtype=np.uint8) if self._cache else crops
        return Batch(
            images=torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))),
            tokens=tokens.view(size, -1, tokens.shape[1]),
            prompt_nouns=torch.tensor(prompt_nouns, dtype=torch.int64),
            caption_nouns=torch.tensor(caption_nouns),
            damaged=damaged,
            noun_log_prior=torch.tensor(log_priors) if self._counts else None,
            features=features_of(crops) if self._cache else None,
            class_prompts=self._class_prompts(crops, drawn_names),
        )

    def _class_prompts(
        self, records: np.ndarray, drawn: Sequence[DrawnNames]
    ) -> ClassPrompts | None:
        if self._class_names is None:
            return None
        return ClassPrompts(
            names=torch.tensor([one.ids for one in drawn]),
            log_prior=torch.tensor([one.log_priors for one in drawn]),
            at_places=torch.from_numpy(self._class_names.of_class[records["class_ids"]]),
        )

    def _read(self, shard: int, sample: int, generator: random.Random) -> _Sample:
        """This sample, or the next one of its shard that can be decoded."""
        reader = self._readers.reader(shard)
        tar, number = self.shards[shard].tar, self.shards[shard].num_samples
        reason = ""
        for tried in range(MOST_DAMAGED):
            candidate = (sample + tried) % number
            try:
                crop, is_complete = self._crop(shard, candidate, generator)
            except DamagedError as error:
                reason = str(error)
                continue
            texts = captions.draw(
                reader.captions(candidate),
                self._templates,
                num_prompts=self._config.num_prompts,
                generator=generator,
                counts=self._counts,
                of_image=self._of_image,
            )
            names = self._draw_names(crop, generator)
            is_damaged = candidate != sample or not is_complete
            return _Sample(crop, texts, names, is_damaged=is_damaged)
        raise InputError(
            f"{tar}: {MOST_DAMAGED} images in a row cannot be decoded ({reason}); "
            "get a whole copy of this shard, or leave it out (with --changed data.shards)"
        )

    def _draw_names(self, record: _Crop, generator: random.Random) -> DrawnNames | None:
        if self._class_names is None:
            return None
        return self._class_names.draw(
            record["class_ids"],
            record["class_probabilities"].astype(np.float32),
            self._templates,
            count=self._config.class_prompts,
            generator=generator,
        )

    def _crop(self, shard: int, sample: int, generator: random.Random) -> tuple[_Crop, bool]:
        """A random crop of a sample, or one of its stored crops; True if the file is complete."""
        if self._cache is not None:
            number = generator.randrange(self._config.cached_crops)
            return self._cache.record(shard, sample, number), True
        data = self._readers.reader(shard).image(sample)
        return decode(data, self._config, generator, image_size=self._image_size)


def stream(
    batches: Source, *, start: int, stop: int, num_workers: int
) -> Generator[Batch, None, None]:
    """Batches of the steps from `start` to before `stop`, each prepared by one worker.

    The workers end with the iterator. One that may be left early must be closed
    (`contextlib.closing`): a traceback keeps it alive, and Python would wait for its workers.

    Args:
        batches: The batches of this rank.
        start: The first step.
        stop: The step after the last.
        num_workers: Processes; with 0, a batch is made when the iterator reaches it.

    Raises:
        InputError: As the batches do.
    """
    loader: DataLoader[Any] = DataLoader(
        range(start, stop),  # type: ignore[arg-type]
        batch_size=None,
        num_workers=num_workers,
        # The data set is the steps; a worker makes the batch of a step in place of collating.
        collate_fn=partial(_prepare, batches),
        worker_init_fn=_ignore_signals,
        pin_memory=torch.cuda.is_available(),
        # Without one of its own, the loader draws from the generator of the whole process.
        generator=torch.Generator(),
    )
    others = set(multiprocessing.active_children())
    coming: Any = None
    try:
        coming = iter(loader)
        for result in coming:
            if isinstance(result, InputError):
                raise result
            yield result
    finally:
        if num_workers:
            _end_workers(coming, others)


def _end_workers(iterator: Any, others: set[Any]) -> None:
    """End the workers of a loader; one that does not finish its batch in seconds is killed.

    Args:
        iterator: Iterator of the loader; None if not all of its workers could be started.
        others: Child processes that do not belong to it.
    """
    workers = set(multiprocessing.active_children()) - others
    try:
        if iterator is not None:
            workers = set(iterator._workers)
            iterator._shutdown_workers()
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.kill()  # they ignore SIGTERM


def _prepare(batches: Source, step: int) -> Batch | InputError:
    """The batch of a step, or its error: torch would hide an exception inside a traceback."""
    try:
        return batches[step]
    except InputError as error:
        return error


def _ignore_signals(_worker: int) -> None:
    """Leave Ctrl-C and SIGTERM to the training process.

    They reach all processes of a group, but it still needs the batch of its step, and ends the
    workers itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
