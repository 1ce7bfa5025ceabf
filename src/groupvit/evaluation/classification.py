"""Zero-shot classification: which class name is nearest to a whole image.

GroupViT, appendix C.1. The images lie in one folder for each class, as those of ImageNet do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from groupvit import image_files, imaging
from groupvit.distributed import Ranks
from groupvit.errors import InputError
from groupvit.evaluation.evaluate import OnProgress
from groupvit.segmentation.segmenter import Segmenter

BATCH = 64
"""Images that are encoded at once."""
MARGIN = 256 / 224
"""Images are resized to this many sides of what the network sees, of which the middle is cut."""
CUTOFFS = (1, 5)
"""How many of the nearest names are looked at."""
LEVEL = 1e-6
"""Cosines this near are level; rounding, which processors do differently, may part them."""


class Item(NamedTuple):
    """An image and its class."""

    path: Path
    label: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """How many images are called by their name."""

    accuracy: dict[int, float]
    """By how many of the nearest names are looked at: share of the images, [0, 1]."""
    by_class: dict[str, float]
    """Accuracy of the nearest name; classes that share a name are counted together."""
    num_images: int
    damaged: int
    """Images that could not be read; they are left out."""


def find_items(folder: Path) -> tuple[list[str], list[Item]]:
    """The folders in a folder, each a class, and the images in all of them.

    Returns:
        Names of the folders in the order of the alphabet, and the images with their numbers.

    Raises:
        InputError: There are no folders in it, or one has no images.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder}; give one that holds a folder for each class")
    names = sorted(x.name for x in folder.iterdir() if x.is_dir() and not x.name.startswith("."))
    if not names:
        raise InputError(f"{folder} holds no folders; put the images of each class into its own")
    items = [
        Item(found.path, label)
        for label, name in enumerate(names)
        for found in image_files.find([folder / name])
    ]
    return names, items


def classify(
    segmenter: Segmenter,
    items: Sequence[Item],
    names: Sequence[str],
    *,
    ranks: Ranks | None = None,
    on_progress: OnProgress | None = None,
) -> Classification:
    """Compare every image with every name, each image once, whatever the number of ranks.

    The shorter side is resized to 256 / 224 of what the network sees, and the middle is cut out.

    Args:
        segmenter: The model; its protocol gives the sentences around names.
        items: The images.
        names: One for each class. Where names are equal their classes are one.
        ranks: The processes that share the images; None: this one has them all.
        on_progress: Told after every batch of this process.

    Returns:
        The same on every rank.

    Raises:
        InputError: No image can be read, or a name is too long.
    """
    ranks = ranks or Ranks()
    kinds = list(dict.fromkeys(names))
    words = segmenter.embed_words(kinds)
    owners = [kinds.index(name) for name in names]
    mine = items[ranks.rank :: ranks.world_size]
    counts = torch.zeros(len(kinds), 1 + len(CUTOFFS), dtype=torch.int64)  # all, then right ones
    done = 0
    for batch in (mine[start : start + BATCH] for start in range(0, len(mine), BATCH)):
        for label, places in _places(segmenter, batch, words, owners):
            counts[label] += torch.tensor([1, *(places < cutoff for cutoff in CUTOFFS)])
        done += len(batch)
        if on_progress is not None:
            on_progress(done, len(mine))
    return _summary(ranks.sum(counts).cpu().numpy(), kinds, len(items))


def _places(
    segmenter: Segmenter,
    batch: Sequence[Item],
    words: Float[Tensor, "kind embedding"],
    owners: Sequence[int],
) -> Iterator[tuple[int, int]]:
    """Of each image that can be read the class, and how many other names are as near."""
    labels, pixels = [], []
    for item in batch:
        try:
            pixels.append(_middle(item.path, segmenter.network.config.image.image_size))
        except InputError:
            continue
        labels.append(owners[item.label])
    if not labels:
        return
    similarity = segmenter.embed_images(torch.from_numpy(np.stack(pixels))) @ words.mT
    for label, row in zip(labels, similarity, strict=True):
        # A name that is level counts as nearer, so that finding all alike is worth nothing.
        yield label, int((row >= row[label] - LEVEL).sum()) - 1


def _middle(path: Path, side: int) -> UInt8[np.ndarray, "3 side side"]:
    """The middle square of an image, at the training size."""
    image = Image.fromarray(imaging.read(path))
    factor = round(MARGIN * side) / min(image.size)
    size = tuple(max(side, round(length * factor)) for length in image.size)
    resized = image.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    left, top = ((length - side) // 2 for length in size)
    cut = resized.crop((left, top, left + side, top + side))
    return np.array(cut).transpose(2, 0, 1)


def _summary(counts: np.ndarray, kinds: Sequence[str], num_items: int) -> Classification:
    seen, *right = counts.T
    total = int(seen.sum())
    if not total:
        raise InputError("none of the images can be read")
    return Classification(
        accuracy={k: float(hits.sum() / total) for k, hits in zip(CUTOFFS, right, strict=True)},
        by_class={
            kind: float(hits / number)
            for kind, hits, number in zip(kinds, right[0], seen, strict=True)
            if number
        },
        num_images=total,
        damaged=num_items - total,
    )
