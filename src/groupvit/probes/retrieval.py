"""Retrieval: captions of an image, and the image of a caption, by cosine similarity."""

import random
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from groupvit.data.config import DataConfig
from groupvit.data.decoding import DamagedError, decode
from groupvit.data.index import Shard
from groupvit.data.shards import Shards
from groupvit.errors import InputError
from groupvit.model.groupvit import GroupViT
from groupvit.progress import OnProgress
from groupvit.segmentation.preparation import normalize
from groupvit.text.tokenizer import Tokenizer

BATCH = 64
"""Number of images that are encoded at once, with their captions."""
CUTOFFS = (1, 5, 10)
"""Values of k in recall at k."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """Ranks of right answers, over all queries."""

    at: Mapping[int, float]
    """Recall by k: fraction of queries with a right answer among the first k, [0, 1]."""
    median_rank: float
    """Median rank of the first right answer, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """Recall in both directions."""

    captions: Recall
    """Recall of captions, with an image as query; the first of its captions counts."""
    images: Recall
    """Recall of images, with a caption as query."""
    num_images: int
    """Number of images to choose from."""
    num_captions: int
    """Number of captions to choose from."""
    num_damaged: int
    """Number of images that could not be decoded; they and their captions are skipped."""


class PairBatch(NamedTuple):
    """Some images and their captions."""

    images: UInt8[np.ndarray, "image 3 height width"]
    captions: list[str]
    owners: list[int]
    """Per caption: index of its image in the batch."""


def retrieval(
    model: GroupViT,
    shards: Sequence[Shard],
    *,
    limit: int | None = None,
    device: torch.device | str = "cpu",
    on_progress: OnProgress | None = None,
) -> Retrieval:
    """Measure recall over the images and captions of shards.

    The largest square in the center of an image is resized to the training size. Captions longer
    than the context length are cut.

    Args:
        model: Network, on the device and in evaluation mode.
        shards: Shards of pairs, from `groupvit.data.index.prepare`.
        limit: Maximum number of pairs, spread evenly over the shards; None: all.
        device: Device of the computation.
        on_progress: Called after every batch.

    Raises:
        InputError: There are no images that can be decoded.
    """
    total = len(_numbers(shards, limit))
    images: list[Tensor] = []
    texts: list[Tensor] = []
    owners: list[int] = []
    num_images = 0
    tokenizer = Tokenizer(model.config.text.vocabulary_size)
    with torch.inference_mode():
        for batch in pair_batches(model, shards, limit=limit):
            owners += [num_images + owner for owner in batch.owners]
            images.append(_embed_images(model, batch, device))
            texts.append(_embed_texts(model, tokenizer, batch, device))
            num_images += len(batch.images)
            if on_progress is not None:
                on_progress(num_images, total)
    if not owners:
        raise InputError("none of the images can be decoded; groupvit pairs lists the errors")
    similarity = torch.cat(images) @ torch.cat(texts).T  # (image, caption)
    right = F.one_hot(torch.tensor(owners, device=similarity.device), num_images).T > 0
    return Retrieval(
        captions=recall(similarity, right),
        images=recall(similarity.T, right.T),
        num_images=num_images,
        num_captions=len(owners),
        num_damaged=total - num_images,
    )


def recall(
    similarity: Float[Tensor, "query answer"],
    right: Bool[Tensor, "query answer"],
    cutoffs: Sequence[int] = CUTOFFS,
) -> Recall:
    """Recall at k and median rank of the first right answer to every query.

    A wrong answer of the same similarity ranks before it, so that a constant model has recall 0.

    Args:
        similarity: Similarity of every query and answer.
        right: Right answers; every query has at least one.
        cutoffs: Values of k.
    """
    best = similarity.masked_fill(~right, float("-inf")).amax(dim=1, keepdim=True)
    ranks = 1 + ((similarity >= best) & ~right).sum(dim=1)
    found = {cutoff: (ranks <= cutoff).float().mean().item() for cutoff in cutoffs}
    return Recall(at=found, median_rank=ranks.float().quantile(0.5).item())


def pair_batches(
    model: GroupViT, shards: Sequence[Shard], *, limit: int | None = None
) -> Iterator[PairBatch]:
    """Images at the training size with their captions; those that are damaged are left out.

    Args:
        model: Network, for its image size.
        shards: Shards of pairs.
        limit: Maximum number of pairs, spread evenly over the shards; None: all.
    """
    side = model.config.image.image_size
    whole = dict.fromkeys(
        ("crop_scale_min", "crop_scale_max", "crop_ratio_min", "crop_ratio_max"), 1.0
    )
    config = DataConfig(**whole)  # type: ignore[arg-type]
    opened = Shards(shards)
    ends = list(accumulate(shard.num_samples for shard in shards))
    numbers = _numbers(shards, limit)
    for start in range(0, len(numbers), BATCH):
        images: list[np.ndarray] = []
        captions: list[str] = []
        owners: list[int] = []
        for number in numbers[start : start + BATCH]:
            shard = bisect_right(ends, number)
            sample = number - ends[shard] + shards[shard].num_samples
            reader = opened.reader(shard)
            try:
                image = decode(
                    reader.image(sample), config, random.Random(0), image_size=side
                ).pixels
            except DamagedError:
                continue
            texts = [caption.text for caption in reader.captions(sample)]
            captions += texts
            owners += [len(images)] * len(texts)
            images.append(image.transpose(2, 0, 1))
        if images:
            yield PairBatch(np.stack(images), captions, owners)


def _numbers(shards: Sequence[Shard], limit: int | None) -> Sequence[int]:
    """Numbers of the chosen pairs, counted through all shards."""
    total = sum(shard.num_samples for shard in shards)
    if limit is None or limit >= total:
        return range(total)
    return [number * total // limit for number in range(limit)]


def _embed_images(
    model: GroupViT, batch: PairBatch, device: torch.device | str
) -> Float[Tensor, "image embedding"]:
    pixels = torch.from_numpy(batch.images).to(device)
    return model.embed_image(normalize(pixels), num_stages=1).image.float()


def _embed_texts(
    model: GroupViT, tokenizer: Tokenizer, batch: PairBatch, device: torch.device | str
) -> Float[Tensor, "caption embedding"]:
    tokens: Int[Tensor, "caption position"] = tokenizer(
        batch.captions, context_length=model.config.text.context_length
    )
    return F.normalize(model.encode_text(tokens.to(device)).float(), dim=-1)
