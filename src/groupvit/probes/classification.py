"""Zero-shot classification: the class name whose embedding is nearest to that of an image.

GroupViT, appendix C.1. Every class has a folder of images, as in ImageNet.
"""

from collections.abc import Callable, Iterator, Sequence
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
from groupvit.progress import OnProgress
from groupvit.segmentation.segmenter import Segmenter

BATCH = 64
"""Number of images that are encoded at once."""
MARGIN = 256 / 224
"""Shorter side of a resized image, in sides of the square that is cut out of its center."""
CUTOFFS = (1, 5)
"""Values of k in top-k accuracy."""
TIE = 1e-6
"""Cosines that differ by no more are ties; rounding differs between processors."""


class Item(NamedTuple):
    """Image file and the index of its class."""

    path: Path
    label: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """Accuracy of zero-shot classification."""

    accuracy: dict[int, float]
    """Top-k accuracy by k, [0, 1]."""
    by_class: dict[str, float]
    """Top-1 accuracy by class, [0, 1]; classes of the same name are one class."""
    num_images: int
    num_damaged: int
    """Number of images that could not be read; they are skipped."""


def find_items(
    folder: Path, *, on_skipped: Callable[[str], object] | None = None
) -> tuple[list[str], list[Item]]:
    """List the classes of a folder, which are its folders, and their images.

    Args:
        folder: Folder of the folders.
        on_skipped: Called with a description of the files that a folder skips, if there are any.

    Returns:
        Names of the folders in alphabetical order, and images with the indices of their folders.

    Raises:
        InputError: There are no folders in it, or one has no images.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder}; give one that holds a folder for each class")
    names = sorted(x.name for x in folder.iterdir() if x.is_dir() and not x.name.startswith("."))
    if not names:
        raise InputError(f"{folder} holds no folders; put the images of each class into its own")
    items = list[Item]()
    for label, name in enumerate(names):
        found = image_files.search([folder / name])
        items += [Item(image.path, label) for image in found.images]
        description = found.describe_skipped()
        if description and on_skipped is not None:
            on_skipped(f"{folder / name}: {description}")
    return names, items


def classify(
    segmenter: Segmenter,
    items: Sequence[Item],
    names: Sequence[str],
    *,
    ranks: Ranks | None = None,
    on_progress: OnProgress | None = None,
) -> Classification:
    """Classify every image by the nearest name, each image once for any number of ranks.

    The shorter side is resized to 256 / 224 of the training size, whose square is cut from the
    center.

    Args:
        segmenter: Model; its protocol gives the prompt templates.
        items: Images.
        names: Name of every class. Classes of the same name are one class.
        ranks: Processes that share the images; None: this process alone.
        on_progress: Called after every batch of this process.

    Returns:
        The same on every rank.

    Raises:
        InputError: No image can be read, or a name is too long.
    """
    ranks = ranks or Ranks()
    unique = list(dict.fromkeys(names))
    words = segmenter.embed_words(unique)
    owners = [unique.index(name) for name in names]  # of every class
    mine = items[ranks.rank :: ranks.world_size]
    # Per name the number of images, and of those among the nearest 1 and 5.
    counts = torch.zeros(len(unique), 1 + len(CUTOFFS), dtype=torch.int64)
    done = 0
    for batch in (mine[start : start + BATCH] for start in range(0, len(mine), BATCH)):
        for label, rank in _label_ranks(segmenter, batch, words, owners):
            counts[label] += torch.tensor([1, *(rank < cutoff for cutoff in CUTOFFS)])
        done += len(batch)
        if on_progress is not None:
            on_progress(done, len(mine))
    return _summary(ranks.sum(counts).cpu().numpy(), unique, len(items))


def _label_ranks(
    segmenter: Segmenter,
    batch: Sequence[Item],
    words: Float[Tensor, "name embedding"],
    owners: Sequence[int],
) -> Iterator[tuple[int, int]]:
    """For every readable image: its name's index, and the number of names that are nearer."""
    labels, pixels = [], []
    for item in batch:
        try:
            pixels.append(_center(item.path, segmenter.network.config.image.image_size))
        except InputError:
            continue
        labels.append(owners[item.label])
    if not labels:
        return
    similarity = segmenter.embed_images(torch.from_numpy(np.stack(pixels))) @ words.mT
    for label, row in zip(labels, similarity, strict=True):
        # A tie counts as nearer, so that a constant answer scores nothing.
        yield label, int((row >= row[label] - TIE).sum()) - 1


def _center(path: Path, side: int) -> UInt8[np.ndarray, "3 side side"]:
    """Square at the center of an image, at the training size."""
    image = Image.fromarray(imaging.read(path))
    # As in the original: the longer side is cut off to a whole number, the offset rounded to even.
    shorter = round(MARGIN * side)
    shortest = min(image.size)
    size = tuple(length * shorter // shortest for length in image.size)
    resized = image.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    left, top = (round((length - side) / 2) for length in size)
    cut = resized.crop((left, top, left + side, top + side))
    return np.array(cut).transpose(2, 0, 1)


def _summary(counts: np.ndarray, names: Sequence[str], num_items: int) -> Classification:
    seen, *right = counts.T
    total = int(seen.sum())
    if not total:
        raise InputError("none of the images can be read")
    return Classification(
        accuracy={k: float(hits.sum() / total) for k, hits in zip(CUTOFFS, right, strict=True)},
        by_class={
            name: float(hits / number)
            for name, hits, number in zip(names, right[0], seen, strict=True)
            if number
        },
        num_images=total,
        num_damaged=num_items - total,
    )
