"""Retrieval: images find their captions, and captions their images."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from groupvit.segmentation.preparation import normalize
from groupvit.text.tokenizer import Tokenizer

BATCH = 64
"""Images that are encoded at once; their captions are, too."""
CUTOFFS = (1, 5, 10)
"""How many of the first answers are looked at."""

OnProgress = Callable[[int, int], object]
"""Told how many images are done, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """How often the right answer is among the first so many, [0, 1]."""

    at: Mapping[int, float]
    """By how many of the first answers are looked at."""
    median_rank: float
    """Place of the first right answer, from 1, in the middle of all questions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """What a search among images and captions finds."""

    captions: Recall
    """An image asks for its captions; the first right one of them counts."""
    images: Recall
    """A caption asks for its image."""
    num_images: int
    """How many there are to choose from."""
    num_captions: int
    """Likewise."""
    damaged: int
    """Images that could not be decoded; they and their captions are left out."""


class _Piece(NamedTuple):
    """Some images and their captions."""

    images: UInt8[np.ndarray, "image 3 height width"]
    captions: list[str]
    owners: list[int]
    """For each caption, the number of its image among these."""


def retrieval(
    model: GroupViT,
    shards: Sequence[Shard],
    *,
    device: torch.device | str = "cpu",
    on_progress: OnProgress | None = None,
) -> Retrieval:
    """Search among all images and captions of shards.

    The network sees the largest square in the middle of each image, at its training size.
    Captions that it cannot read whole are cut.

    Args:
        model: The network, on the device and in evaluation mode.
        shards: Where the pairs lie, from `groupvit.data.index.prepare`.
        device: Where to compute.
        on_progress: Told after some images.

    Raises:
        InputError: There are no images that can be decoded.
    """
    total = sum(shard.num_samples for shard in shards)
    images: list[Tensor] = []
    texts: list[Tensor] = []
    owners: list[int] = []
    num_images = 0
    tokenizer = Tokenizer(model.config.text.vocabulary_size)
    with torch.inference_mode():
        for piece in _pieces(model, shards):
            owners += [num_images + owner for owner in piece.owners]
            images.append(_embed_images(model, piece, device))
            texts.append(_embed_texts(model, tokenizer, piece, device))
            num_images += len(piece.images)
            if on_progress is not None:
                on_progress(num_images, total)
    if not owners:
        raise InputError("none of the images can be decoded; groupvit pairs says more of them")
    similarity = torch.cat(images) @ torch.cat(texts).T
    right = F.one_hot(torch.tensor(owners, device=similarity.device), num_images).T > 0
    return Retrieval(
        captions=recall(similarity, right),
        images=recall(similarity.T, right.T),
        num_images=num_images,
        num_captions=len(owners),
        damaged=total - num_images,
    )


def recall(
    similarity: Float[Tensor, "question answer"],
    right: Bool[Tensor, "question answer"],
    cutoffs: Sequence[int] = CUTOFFS,
) -> Recall:
    """Where the first right answer to each question stands.

    A wrong answer that is level with it counts as before it, so that a model that finds everything
    alike finds nothing.

    Args:
        similarity: The higher, the better an answer fits.
        right: Which answers are; every question has at least one.
        cutoffs: How many of the first answers are looked at.
    """
    best = similarity.masked_fill(~right, float("-inf")).amax(dim=1, keepdim=True)
    places = 1 + ((similarity >= best) & ~right).sum(dim=1)
    found = {cutoff: (places <= cutoff).float().mean().item() for cutoff in cutoffs}
    return Recall(at=found, median_rank=places.float().quantile(0.5).item())


def _pieces(model: GroupViT, shards: Sequence[Shard]) -> Iterator[_Piece]:
    side = model.config.image.image_size
    whole = dict.fromkeys(
        ("crop_scale_min", "crop_scale_max", "crop_ratio_min", "crop_ratio_max"), 1.0
    )
    config = DataConfig(image_size=side, **whole)  # type: ignore[arg-type]
    opened = Shards(shards)
    sites = [(number, i) for number, shard in enumerate(shards) for i in range(shard.num_samples)]
    for start in range(0, len(sites), BATCH):
        images: list[np.ndarray] = []
        captions: list[str] = []
        owners: list[int] = []
        for shard, sample in sites[start : start + BATCH]:
            reader = opened.reader(shard)
            try:
                image = decode(reader.image(sample), config, random.Random(0))
            except DamagedError:
                continue
            texts = [caption.text for caption in reader.captions(sample)]
            captions += texts
            owners += [len(images)] * len(texts)
            images.append(image.transpose(2, 0, 1))
        if images:
            yield _Piece(np.stack(images), captions, owners)


def _embed_images(
    model: GroupViT, piece: _Piece, device: torch.device | str
) -> Float[Tensor, "image embedding"]:
    pixels = torch.from_numpy(piece.images).to(device)
    return model.embed_image(normalize(pixels), num_stages=1).image.float()


def _embed_texts(
    model: GroupViT, tokenizer: Tokenizer, piece: _Piece, device: torch.device | str
) -> Float[Tensor, "caption embedding"]:
    tokens: Int[Tensor, "caption position"] = tokenizer(
        piece.captions, context_length=model.config.text.context_length
    )
    return F.normalize(model.encode_text(tokens.to(device)).float(), dim=-1)
