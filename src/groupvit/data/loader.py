"""Batches by the number of their step, and a stream of them prepared by worker processes."""

import random
import signal
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8
from torch.utils.data import DataLoader, Dataset

from groupvit.data import index, patterns
from groupvit.data.batch import Batch
from groupvit.data.captions import Texts, draw
from groupvit.data.config import DataConfig
from groupvit.data.decoding import DamagedError, decode
from groupvit.data.index import Progress
from groupvit.data.order import Order
from groupvit.data.shards import Shards
from groupvit.errors import InputError
from groupvit.text.templates import load_templates
from groupvit.text.tokenizer import Tokenizer

MOST_DAMAGED = 20
"""So many unreadable samples in a row mean that a shard is lost."""


class Batches(Dataset[Batch]):
    """The batches of one rank: `batches[step]` depends on the arguments here and the step alone.

    All ranks together get at a step what one process with the joint batch size would get, in the
    same order. Each epoch visits every sample once, in another order, but for the few at its end
    that do not fill a batch.

    Args:
        config: Which pairs, and how they are read.
        tokenizer: Makes token ids of captions and prompts.
        seed: Of the order, the crops, and the captions and nouns that are drawn.
        rank: This process, from 0.
        world_size: How many processes train together.
        context_length: Most tokens that the text encoder reads.
        progress: Is told of every shard whose index is read or made.

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
        context_length: int = 77,
        progress: Progress | None = None,
    ) -> None:
        assert 0 <= rank < world_size
        self._config, self._tokenizer = config, tokenizer
        self._seed, self._rank, self._world_size = seed, rank, world_size
        self._context_length = context_length
        self._templates = load_templates(config.templates)
        paths = patterns.expand(config.shards)
        first = rank * len(paths) // world_size
        self.shards = index.prepare(paths, config.nouns, first=first, progress=progress)
        self._samples = Shards(self.shards)
        self._order = Order(sizes=tuple(s.num_samples for s in self.shards), seed=seed)
        self.num_samples = len(self._order)
        self.steps_per_epoch = self.num_samples // (config.batch_size * world_size)
        if self.steps_per_epoch == 0:
            raise InputError(
                f"the shards hold {self.num_samples:,} samples, less than one batch of "
                f"{config.batch_size * world_size:,} ({config.batch_size} for each of {world_size} "
                "ranks); give more shards or a smaller batch_size"
            )

    def __getitem__(self, step: int) -> Batch:
        """The batch of this rank at a step, counted from 0 over all epochs.

        Raises:
            InputError: So many samples of a shard in a row are damaged that it must be lost.
        """
        epoch, step = divmod(step, self.steps_per_epoch)
        size = self._config.batch_size
        first = (step * self._world_size + self._rank) * size
        positions = range(first, first + size)
        sites = self._order.find(epoch, positions)
        side = self._config.image_size
        images = np.empty((size, 3, side, side), dtype=np.uint8)
        texts, damaged = [], 0
        for row, (position, shard, sample) in enumerate(
            zip(positions, sites.shards.tolist(), sites.samples.tolist(), strict=True)
        ):
            generator = random.Random(f"{self._seed}/{epoch}/{position}")
            readable, image = self._readable(shard, sample, generator)
            damaged += readable != sample
            images[row] = image.transpose(2, 0, 1)
            texts.append(self._texts(shard, readable, generator))
        return self._batch(images, texts, damaged)

    def _readable(
        self, shard: int, sample: int, generator: random.Random
    ) -> tuple[int, UInt8[np.ndarray, "height width 3"]]:
        """This sample, or the next of its shard that can be decoded, and its image."""
        reader = self._samples.reader(shard)
        path, number = self.shards[shard].path, self.shards[shard].num_samples
        reason = ""
        for tried in range(MOST_DAMAGED):
            candidate = (sample + tried) % number
            try:
                return candidate, decode(reader.image(candidate), self._config, generator)
            except DamagedError as error:
                reason = str(error)
        raise InputError(
            f"{path}: {MOST_DAMAGED} images in a row cannot be decoded ({reason}); "
            "get a whole copy of this shard, or leave it out"
        )

    def _texts(self, shard: int, sample: int, generator: random.Random) -> Texts:
        return draw(
            self._samples.reader(shard).captions(sample),
            self._templates,
            num_prompts=self._config.num_prompts,
            generator=generator,
        )

    def _batch(
        self, images: UInt8[np.ndarray, "batch 3 height width"], drawn: list[Texts], damaged: int
    ) -> Batch:
        texts = [text for one in drawn for text in one.texts]
        tokens = self._tokenizer(texts, context_length=self._context_length)
        shape = len(drawn), self._config.num_prompts
        return Batch(
            images=torch.from_numpy(images),
            tokens=rearrange(
                tokens, "(batch text) position -> batch text position", batch=shape[0]
            ),
            prompt_nouns=torch.tensor([one.prompt_nouns for one in drawn]).long().reshape(shape),
            caption_nouns=torch.tensor([one.caption_nouns for one in drawn]),
            damaged=damaged,
        )


class _Told(Dataset[Batch | InputError]):
    """Batches whose mistakes are values; torch hides an exception of a worker in a traceback."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def __getitem__(self, step: int) -> Batch | InputError:
        try:
            return self._batches[step]
        except InputError as error:
            return error


def stream(batches: Batches, *, start: int, stop: int, num_workers: int) -> Iterator[Batch]:
    """The batches of these steps in their order, each prepared by one of the workers.

    Args:
        batches: What to read.
        start: The first step.
        stop: The step behind the last.
        num_workers: Processes; with 0, batches are made when they are asked for.

    Raises:
        InputError: As `Batches` does.
    """
    loader = DataLoader(
        _Told(batches),
        batch_size=None,
        sampler=range(start, stop),
        num_workers=num_workers,
        collate_fn=_unchanged,
        worker_init_fn=_outlive_signals,
        pin_memory=torch.cuda.is_available(),
        # Without one of its own, the loader draws from the generator of the whole process.
        generator=torch.Generator(),
    )
    for item in loader:
        if isinstance(item, InputError):
            raise item
        yield cast(Batch, item)


def _outlive_signals(_worker: int) -> None:
    """Leave Ctrl-C and SIGTERM to the process that trains.

    They reach all processes of a group, but it still wants the batch of its step, and ends the
    workers itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _unchanged(item: Any) -> Any:
    return item
