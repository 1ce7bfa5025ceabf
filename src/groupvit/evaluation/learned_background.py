"""A learned background: how near a word must be to a part of an image to be seen there.

A word is seen at a part p if cos(p, word) > w . p + b. The layer (w, b) is learned while the
network stays as it is, by logistic regression on examples: a part, a word, and
whether the word is there.

        z = logit scale * (cos(p, word) - w . p - b)
        mean of the binary cross-entropy of z and «there» + DECAY * |logit scale * w|^2

Masks tell what is there. So do captions, if less surely. Of the nouns of an image's captions some
are asked for, the others not. Where one of the former fits best of all nouns, it is there; where
any other noun fits better, nothing is there that was asked for.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from groupvit import imaging
from groupvit.data.decoding import DamagedError, opened
from groupvit.data.index import Shard
from groupvit.data.shards import Shards
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Benchmark, Sample
from groupvit.evaluation.evaluate import OnProgress, asked
from groupvit.evaluation.scores import IGNORED
from groupvit.model.groupvit import GroupViT
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.labels import parse
from groupvit.segmentation.scoring import max_over_synonyms
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.nouns import singular
from groupvit.weights import checkpoint

DECAY = 1e-6
"""What keeps w small; on drawn scenes little depends on it from 1e-7 to 1e-5."""
PARTS = 256
"""Parts of an image with captions that are examples, drawn at random."""
KEPT = 0.5
"""Share of the nouns of an image's captions that are asked for, drawn at random."""
FEWEST = 5
"""Captions that must have a noun, or it does not count."""
ITERATIONS = 200
"""Of L-BFGS, at most."""


class Examples(NamedTuple):
    """What the layer is learned from."""

    parts: Float[Tensor, "example embedding"]
    """L2-normalized, or means of such."""
    cosines: Float[Tensor, " example"]
    """That of the part and the word which fits it best, of those that are asked for."""
    there: Bool[Tensor, " example"]
    """Whether this word is there."""


class Learned(NamedTuple):
    """A model with a learned background."""

    model: GroupViT
    """A copy with the layer."""
    num_examples: int
    """Parts that it was learned from."""
    there: float
    """Share of them that show a word that was asked for, [0, 1]."""
    accuracy: float
    """How many the layer tells right, of those with and of those without a word, on average."""


def by_masks(
    segmenter: Segmenter, benchmark: Benchmark, *, on_progress: OnProgress | None = None
) -> Learned:
    """A background learned from images with masks, a few dozen.

    Args:
        segmenter: The model, and how it looks at images.
        benchmark: The images; the first class is the background.
        on_progress: Told after every image.

    Raises:
        InputError: The benchmark has no background, or an image or mask cannot be used.
    """
    if not benchmark.has_background:
        raise InputError(
            f"the classes of {benchmark.name} begin with no background, so that there is nothing "
            "to learn"
        )
    wanted = parse(asked(benchmark, segmenter).labels)
    words = segmenter.embed_words(wanted.words)
    found: list[Examples] = []
    for index in range(len(benchmark)):
        sample = benchmark[index]
        [grouped] = segmenter.group([sample.image])
        parts, truth = _with_truth(grouped, sample)
        counted = torch.from_numpy(truth != IGNORED)
        best = max_over_synonyms(parts @ words.mT, wanted).max(dim=1)
        there = best.indices.cpu() + 1 == torch.from_numpy(truth)
        found.append(Examples(parts.cpu()[counted], best.values.cpu()[counted], there[counted]))
        if on_progress is not None:
            on_progress(index + 1, len(benchmark))
    return learn(segmenter.model, _joined(found))


def by_captions(
    segmenter: Segmenter,
    shards: Sequence[Shard],
    *,
    num_pairs: int = 500,
    on_progress: OnProgress | None = None,
) -> Learned:
    """A background learned from images with captions, some hundreds, without any mask.

    Args:
        segmenter: The model, and how it looks at images.
        shards: Where the pairs lie, from `groupvit.data.index.prepare`.
        num_pairs: How many are looked at, evenly spread; damaged images are passed over.
        on_progress: Told after every image.

    Raises:
        InputError: No noun stands in enough captions, or there is no image.
    """
    pairs = list(_nouns(Shards(shards), shards, num_pairs))
    counts = Counter(noun for _, nouns in pairs for noun in nouns)
    vocabulary = sorted(noun for noun, count in counts.items() if count >= FEWEST)
    if not vocabulary:
        raise InputError(
            f"no noun stands in {FEWEST} of {len(pairs):,} captions; give more pairs, or such as "
            "have captions with nouns"
        )
    words = segmenter.embed_words(vocabulary)
    found, generator = list[Examples](), torch.Generator().manual_seed(0)
    for done, (read, nouns) in enumerate(pairs, start=1):
        known = torch.tensor([noun in nouns for noun in vocabulary])
        own = (known & (torch.rand(known.shape, generator=generator) < KEPT)).to(words.device)
        if own.any():
            found += [_by_caption(one, words, own, generator) for one in _grouped(segmenter, read)]
        if on_progress is not None:
            on_progress(done, len(pairs))
    return learn(segmenter.model, _joined(found))


def learn(model: GroupViT, examples: Examples) -> Learned:
    """The model with the layer that tells the examples best.

    Args:
        model: The network, which is not changed.
        examples: What it said, and what is there.

    Raises:
        InputError: All examples are of one kind.
    """
    parts, cosines, there = (tensor.detach().cpu() for tensor in examples)
    share = float(there.float().mean())
    if share in (0.0, 1.0):
        which = "every part" if share else "no part"
        raise InputError(
            f"{which} of the images shows the word that fits it best, so that nothing can be "
            "learned; give other images, or a model that knows these words"
        )
    layer = _fit(parts.float(), cosines.float(), there, model.logit_scale.item())
    right = (cosines > parts.float() @ layer[:-1] + layer[-1]) == there
    accuracy = (right[there].float().mean() + right[~there].float().mean()) / 2
    return Learned(_with_layer(model, layer), len(there), share, float(accuracy))


def _fit(
    parts: Float[Tensor, "example embedding"],
    cosines: Float[Tensor, " example"],
    there: Bool[Tensor, " example"],
    scale: float,
) -> Float[Tensor, " embedding_and_bias"]:
    """Logistic regression by L-BFGS; it begins with a bias between both kinds."""
    layer = torch.zeros(parts.shape[1] + 1)
    layer[-1] = (cosines[there].mean() + cosines[~there].mean()) / 2
    layer.requires_grad_()
    optimizer = torch.optim.LBFGS([layer], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        z = scale * (cosines - parts @ layer[:-1] - layer[-1])
        loss = F.binary_cross_entropy_with_logits(z, there.float())
        loss = loss + DECAY * (scale * layer[:-1]).square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    return layer.detach()


def _with_layer(model: GroupViT, layer: Float[Tensor, " embedding_and_bias"]) -> GroupViT:
    tensors = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    tensors |= {
        "background.weight": layer[None, :-1].clone(),
        "background.bias": layer[-1:].clone(),
    }
    return checkpoint.fill(replace(model.config, background=True), tensors, where="the model")


def _joined(found: Sequence[Examples]) -> Examples:
    if not found:
        raise InputError("no image can be used, so that nothing can be learned")
    return Examples(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def _by_caption(
    grouped: GroupedImage,
    words: Float[Tensor, "noun embedding"],
    own: Bool[Tensor, " noun"],
    generator: torch.Generator,
) -> Examples:
    parts = torch.cat([window.patch_embeddings() for window in grouped.windows])
    some = parts[torch.randperm(len(parts), generator=generator)[:PARTS]]
    cosines = some @ words.mT
    best = cosines.masked_fill(~own, -torch.inf).amax(dim=1)
    return Examples(some, best, own[cosines.argmax(dim=1)])


def _with_truth(
    grouped: GroupedImage, sample: Sample
) -> tuple[Float[Tensor, "part embedding"], Int64[np.ndarray, " part"]]:
    """All patches of an image, and the class in the middle of each."""
    truth = []
    for window in grouped.windows:
        place = grouped.in_image(window.box)
        rows, columns = (
            start + ((np.arange(count) + 0.5) * length / count).astype(np.int64)
            for start, length, count in zip(
                (place.top, place.left), (place.height, place.width), window.grid, strict=True
            )
        )
        truth.append(sample.mask[rows[:, None], columns].ravel().astype(np.int64))
    return torch.cat([window.patch_embeddings() for window in grouped.windows]), np.concatenate(
        truth
    )


def _nouns(
    opened_shards: Shards, shards: Sequence[Shard], num_pairs: int
) -> Iterator[tuple[Callable[[], bytes], frozenset[str]]]:
    """Pairs that are evenly spread: what reads the image, and the nouns of the captions."""
    sites = [(number, i) for number, shard in enumerate(shards) for i in range(shard.num_samples)]
    count = min(num_pairs, len(sites))
    for place in range(count):
        shard, sample = sites[place * len(sites) // count]
        reader = opened_shards.reader(shard)
        captions = reader.captions(sample)
        nouns = frozenset(singular(noun) for caption in captions for noun in caption.nouns)
        yield partial(reader.image, sample), nouns


def _grouped(segmenter: Segmenter, read: Callable[[], bytes]) -> list[GroupedImage]:
    """The image in groups; nothing if it is damaged."""
    try:
        with opened(read()) as image:
            pixels = imaging.read(image)
    except DamagedError:
        return []
    return segmenter.group([pixels])
