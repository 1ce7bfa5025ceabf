"""Background layer: the cosine that a label must exceed, learned for every part of an image.

A label is present at a part p of an image if cos(p, label) > w . p + b. The layer (w, b) is
learned by logistic regression, with the network frozen, from examples: a part, the label that fits
it best, and whether this label is present.

    z    = logit scale * (cos(p, label) - w . p - b)
    loss = mean binary cross-entropy of z and presence + DECAY * |logit scale * w|^2

Masks tell presence. Captions tell it less surely: some of the nouns of an image's captions, drawn
at random, are the labels. Where one of these fits a part best of all nouns, it is present; where
another noun fits better, no label is.
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

from groupvit.data.decoding import DamagedError, read_whole
from groupvit.data.index import Shard
from groupvit.data.shards import Shards
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Benchmark, Sample
from groupvit.evaluation.benchmarks.mask_survey import checked
from groupvit.evaluation.measurement import prescribed_labels
from groupvit.evaluation.scores import IGNORED
from groupvit.model.groupvit import GroupViT
from groupvit.progress import OnProgress
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.scoring import max_over_synonyms
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.nouns import singular
from groupvit.weights import checkpoint

DECAY = 1e-6
"""Weight decay; on drawn scenes the result hardly changes from 1e-7 to 1e-5."""
PARTS = 256
"""Number of parts of an image with captions that become examples, drawn at random."""
LABEL_FRACTION = 0.5
"""Fraction of the nouns of an image's captions that are labels, drawn at random."""
MIN_CAPTIONS = 5
"""Minimum number of images whose captions hold a noun; rarer nouns are ignored."""
ITERATIONS = 200
"""Maximum number of iterations of L-BFGS."""


class Examples(NamedTuple):
    """Training examples of the layer."""

    parts: Float[Tensor, "example embedding"]
    """Embeddings of parts: L2-normalized, or means of such."""
    cosines: Float[Tensor, " example"]
    """Cosine of the part and its best label."""
    present: Bool[Tensor, " example"]
    """True if this label is present."""


class LearnedLayer(NamedTuple):
    """Model with a learned background layer."""

    model: GroupViT
    """Copy of the model with the layer."""
    num_examples: int
    """Number of examples that it was learned from."""
    present: float
    """Fraction of the examples whose best label is present, [0, 1]."""
    accuracy: float
    """Mean accuracy of the layer on examples with and without a present label, [0, 1]."""


def learn_from_masks(
    segmenter: Segmenter, benchmark: Benchmark, *, on_progress: OnProgress | None = None
) -> LearnedLayer:
    """Learn the layer from a few dozen images with masks.

    Args:
        segmenter: Model and protocol.
        benchmark: Images with masks; the first class is the background.
        on_progress: Called after every image.

    Raises:
        InputError: The benchmark has no background, an image or mask cannot be used, or the masks
            of a folder seem to be of another kind.
    """
    if not benchmark.has_background:
        raise InputError(
            f"the classes of {benchmark.name} begin with no background, so that there is nothing "
            "to learn"
        )
    checked(benchmark)
    labels = segmenter.parse(prescribed_labels(benchmark, segmenter.protocol))
    words = segmenter.embed_words(labels.words)
    found: list[Examples] = []
    for index in range(len(benchmark)):
        sample = benchmark[index]
        [grouped] = segmenter.group([sample.image])
        parts, truth = _with_truth(grouped, sample)
        counted = torch.from_numpy(truth != IGNORED)
        best = max_over_synonyms(parts @ words.mT, labels).max(dim=1)  # of (part, label)
        present = best.indices.cpu() + 1 == torch.from_numpy(truth)  # class 0 is the background
        found.append(Examples(parts.cpu()[counted], best.values.cpu()[counted], present[counted]))
        if on_progress is not None:
            on_progress(index + 1, len(benchmark))
    return learn(segmenter.model, _joined(found))


def learn_from_captions(
    segmenter: Segmenter,
    shards: Sequence[Shard],
    *,
    num_pairs: int = 500,
    on_progress: OnProgress | None = None,
) -> LearnedLayer:
    """Learn the layer from some hundreds of images with captions, without masks.

    Args:
        segmenter: Model and protocol.
        shards: Shards of image-caption pairs, from `groupvit.data.index.prepare`.
        num_pairs: Number of pairs to use, evenly spread; damaged images are skipped.
        on_progress: Called after every image.

    Raises:
        InputError: No noun is in enough captions, or there is no image.
    """
    pairs = list(_nouns(Shards(shards), shards, num_pairs))
    counts = Counter(noun for _, nouns in pairs for noun in nouns)
    vocabulary = sorted(noun for noun, count in counts.items() if count >= MIN_CAPTIONS)
    if not vocabulary:
        raise InputError(
            f"no noun stands in {MIN_CAPTIONS} of {len(pairs):,} captions; give more pairs, or "
            "pairs whose captions have nouns"
        )
    words = segmenter.embed_words(vocabulary)
    found, generator = list[Examples](), torch.Generator().manual_seed(0)
    for done, (read, nouns) in enumerate(pairs, start=1):
        known = torch.tensor([noun in nouns for noun in vocabulary])
        drawn = torch.rand(known.shape, generator=generator) < LABEL_FRACTION
        is_label = (known & drawn).to(words.device)
        if is_label.any():
            found += [
                _from_caption(one, words, is_label, generator) for one in _grouped(segmenter, read)
            ]
        if on_progress is not None:
            on_progress(done, len(pairs))
    return learn(segmenter.model, _joined(found))


def learn(model: GroupViT, examples: Examples) -> LearnedLayer:
    """Copy of a model with the layer that separates the examples best.

    Args:
        model: Network, which is not changed.
        examples: Examples of both kinds.

    Raises:
        InputError: All examples are of one kind.
    """
    parts, cosines, present = (tensor.detach().cpu() for tensor in examples)
    fraction = float(present.float().mean())
    if fraction in (0.0, 1.0):
        which = "every part" if fraction else "no part"
        raise InputError(
            f"{which} of the images shows the word that fits it best, so that nothing can be "
            "learned; give other images, or a model that knows these words"
        )
    layer = _fit(parts.float(), cosines.float(), present, model.logit_scale.item())
    right = (cosines > parts.float() @ layer[:-1] + layer[-1]) == present
    accuracy = (right[present].float().mean() + right[~present].float().mean()) / 2
    return LearnedLayer(_with_layer(model, layer), len(present), fraction, float(accuracy))


def _fit(
    parts: Float[Tensor, "example embedding"],
    cosines: Float[Tensor, " example"],
    present: Bool[Tensor, " example"],
    scale: float,
) -> Float[Tensor, " embedding_and_bias"]:
    """Weights and bias of logistic regression by L-BFGS.

    It begins with no weights and a bias halfway between the mean cosines of both kinds.
    """
    layer = torch.zeros(parts.shape[1] + 1)
    layer[-1] = (cosines[present].mean() + cosines[~present].mean()) / 2
    layer.requires_grad_()
    optimizer = torch.optim.LBFGS([layer], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        z = scale * (cosines - parts @ layer[:-1] - layer[-1])
        loss = F.binary_cross_entropy_with_logits(z, present.float())
        loss = loss + DECAY * (scale * layer[:-1]).square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    return layer.detach()


def _with_layer(model: GroupViT, layer: Float[Tensor, " embedding_and_bias"]) -> GroupViT:
    tensors = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    tensors |= {
        "background_layer.weight": layer[None, :-1].clone(),
        "background_layer.bias": layer[-1:].clone(),
    }
    return checkpoint.fill(replace(model.config, background_layer=True), tensors, where="the model")


def _joined(found: Sequence[Examples]) -> Examples:
    if not found:
        raise InputError("no image can be used, so that nothing can be learned")
    return Examples(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def _from_caption(
    grouped: GroupedImage,
    words: Float[Tensor, "noun embedding"],
    is_label: Bool[Tensor, " noun"],
    generator: torch.Generator,
) -> Examples:
    parts = torch.cat([window.patch_embeddings() for window in grouped.windows])
    some = parts[torch.randperm(len(parts), generator=generator)[:PARTS]]
    cosines = some @ words.mT  # (part, noun)
    best = cosines.masked_fill(~is_label, -torch.inf).amax(dim=1)
    return Examples(some, best, is_label[cosines.argmax(dim=1)])


def _with_truth(
    grouped: GroupedImage, sample: Sample
) -> tuple[Float[Tensor, "part embedding"], Int64[np.ndarray, " part"]]:
    """Embeddings of all patches of an image, and the class of the mask at the center of each."""
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
    patches = torch.cat([window.patch_embeddings() for window in grouped.windows])
    return patches, np.concatenate(truth)


def _nouns(
    opened_shards: Shards, shards: Sequence[Shard], num_pairs: int
) -> Iterator[tuple[Callable[[], bytes], frozenset[str]]]:
    """Evenly spread pairs: a function that reads the image, and the nouns of its captions."""
    sites = [(number, i) for number, shard in enumerate(shards) for i in range(shard.num_samples)]
    count = min(num_pairs, len(sites))
    for place in range(count):
        shard, sample = sites[place * len(sites) // count]
        reader = opened_shards.reader(shard)
        captions = reader.captions(sample)
        nouns = frozenset(singular(noun) for caption in captions for noun in caption.nouns)
        yield partial(reader.image, sample), nouns


def _grouped(segmenter: Segmenter, read: Callable[[], bytes]) -> list[GroupedImage]:
    """Groups of an image; an empty list if it is damaged."""
    try:
        pixels = read_whole(read())
    except DamagedError:
        return []
    return segmenter.group([pixels])
