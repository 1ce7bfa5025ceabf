"""Batches of images with masks of one label set, by number: crops in which both agree."""

import random
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int, UInt8
from PIL import Image
from torch import Tensor

from groupvit.data.batch import NOUNS_PER_CAPTION, Batch, Masks
from groupvit.data.config import DataConfig
from groupvit.data.decoding import draw_box
from groupvit.data.order import Order
from groupvit.evaluation.benchmarks.benchmark import Sample
from groupvit.text.templates import load_templates
from groupvit.text.tokenizer import Tokenizer
from groupvit.training.label_set import LabelSet


class Crop(NamedTuple):
    """A crop of an image and of its mask."""

    image: UInt8[np.ndarray, "size size 3"]
    """RGB, 0 to 255."""
    mask: UInt8[np.ndarray, "size size"]
    """As in the whole mask."""


class _Row(NamedTuple):
    """A crop, the labels that compete for its pixels, and their words."""

    crop: Crop
    """Values of its mask are positions among `labels`."""
    labels: tuple[int, ...]
    words: list[int]
    owners: list[int]
    """Position of the label that each word belongs to."""


class MaskBatches:
    """Batches of one rank: `batches[number]` depends on the arguments here and the number alone.

    All ranks together get what one process gets with the joint batch size. Images are drawn in
    epochs, each of which has every image once in another order; a batch may reach into the next
    one, so that a few images are enough.

    Args:
        labels: Images and labels.
        config: Settings of the data.
        tokenizer: Tokenizer of the words.
        seed: Seed of the order, the crops, and the draws of labels and templates.
        rank: Index of this process.
        world_size: Number of processes that train together.
        image_size: Height and width of the images [pixels].
        context_length: Most tokens that the text encoder reads.
    """

    def __init__(
        self,
        labels: LabelSet,
        config: DataConfig,
        tokenizer: Tokenizer,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        image_size: int = 224,
        context_length: int = 77,
    ) -> None:
        self.labels = labels
        self._config, self._tokenizer = config, tokenizer
        self._seed, self._rank, self._world_size = seed, rank, world_size
        self._image_size, self._context_length = image_size, context_length
        self._templates = load_templates(config.templates)
        self._order = Order(sizes=(len(labels.images),), seed=seed)
        self._words = [(label, word) for label, words in enumerate(labels.words) for word in words]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels.images)

    def __getitem__(self, number: int) -> Batch:
        """The batch of this rank with this number, over all epochs.

        Raises:
            InputError: An image or mask cannot be read, or a word is too long.
        """
        size = self._config.batch_size
        first = (number * self._world_size + self._rank) * size
        rows = [self._row(position) for position in range(first, first + size)]
        num_labels, num_words = len(rows[0].labels), max(len(row.owners) for row in rows)
        which = np.zeros((size, num_words), np.int64)
        owners = np.full((size, num_words), num_labels)
        for index, row in enumerate(rows):
            owners[index, : len(row.owners)] = row.owners
            which[index, : len(row.owners)] = row.words
        images = np.stack([row.crop.image for row in rows]).transpose(0, 3, 1, 2)
        targets = np.stack([row.crop.mask for row in rows])
        return Batch(
            images=torch.from_numpy(np.ascontiguousarray(images)),
            tokens=self._prompts(number)[torch.from_numpy(which)],
            prompt_nouns=torch.zeros(size, 0, dtype=torch.int64),
            caption_nouns=torch.zeros(size, NOUNS_PER_CAPTION, dtype=torch.int64),
            damaged=0,
            masks=Masks(torch.from_numpy(targets), torch.from_numpy(owners), num_labels),
        )

    def _row(self, position: int) -> _Row:
        """Crop at a position of the endless series of images, and the labels of its pixels."""
        generator = random.Random(f"{self._seed}/{position}")
        epoch, place = divmod(position, len(self))
        (index,) = self._order.locate(epoch, [place]).samples.tolist()
        sample = self.labels.files[self.labels.images[index]]
        image, mask = random_crop(sample, self._config, generator, self._image_size)
        numbers = self.labels.numbers[mask]
        labels = tuple(range(len(self.labels.words)))
        if self._config.mask_labels == "pairs":
            labels = self._pair(numbers, generator)
            numbers = np.where(numbers == labels[0], 0, 1)
        owner = {label: index for index, label in enumerate(labels)}
        words = [index for index, (label, _) in enumerate(self._words) if label in owner]
        owners = [owner[self._words[index][0]] for index in words]
        return _Row(Crop(image, numbers.astype(np.uint8)), labels, words, owners)

    def _pair(self, numbers: np.ndarray, generator: random.Random) -> tuple[int, int]:
        """A class of the crop, or any class if it shows none, and «others»."""
        *classes, others = range(len(self.labels.words))
        shown = [label for label in classes if (numbers == label).any()]
        return generator.choice(shown or classes), others

    def _prompts(self, number: int) -> Int[Tensor, "word position"]:
        """Prompts of all words, each by a template of its own, the same on all ranks."""
        generator = random.Random(f"{self._seed}/words/{number}")
        texts = [generator.choice(self._templates).replace("{}", word) for _, word in self._words]
        return self._tokenizer(texts, context_length=self._context_length, overlong="refuse")


def random_crop(sample: Sample, config: DataConfig, generator: random.Random, size: int) -> Crop:
    """The same random box of an image and its mask, flipped or not, resized to a square.

    Colors are mixed bilinearly; a pixel of the mask has the class of the nearest one.
    """
    height, width = sample.mask.shape
    box = draw_box(width, height, config, generator)
    resampling = Image.Resampling
    image, mask = (
        np.asarray(Image.fromarray(values).resize((size, size), how, box=box))
        for values, how in (
            (sample.image, resampling.BILINEAR),
            (sample.mask, resampling.NEAREST),
        )
    )
    if config.augmentation.flip and generator.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    return Crop(image, mask)
