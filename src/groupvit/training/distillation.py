"""Distillation of a classifier's knowledge of names into the space shared with text.

The classifier that a pretrained trunk comes with (EfficientNet-lite: 1,000 classes of ImageNet)
names what is at every place of its last map. Its classes, joined under common nouns, become words:
the patches of a place shall be nearest to the word that the classifier finds there. The teacher has
learned from image-level labels; no mask is involved.

Axes: `image` counts the images of this rank, `place` the positions of the classifier's map, `rank`
the classes it finds likeliest at a place, `word` the words that compete in this step.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def distillation(
    patches: Float[Tensor, "image height width embedding"],
    words: Float[Tensor, "word embedding"],
    targets: Float[Tensor, "image row column word"],
    log_prior: Float[Tensor, " word"],
    scale: Float[Tensor, ""] | float,
) -> Float[Tensor, ""]:
    """Cross-entropy of the classifier's words and those of the patches at its places.

        - mean over images and places p of sum_n t_pn log softmax_n(s x_p . w_n + log prior_n)

    x_p is the normalized mean embedding of the patches of a place. The prior is the mean of t over
    the data: without it, words of many classes (118 are dogs) would flood every place that the
    classifier is unsure about (logit adjustment, Menon et al. 2021). Classes without a word in this
    step leave t with a sum below 1.

    Args:
        patches: Embeddings on their grid.
        words: w, L2-normalized.
        targets: t, the classifier's probability of each word at each place.
        log_prior: Logarithm of the prior of each word.
        scale: s, the inverse temperature.
    """
    pooled = F.adaptive_avg_pool2d(
        patches.movedim(-1, 1).float(), (targets.shape[1], targets.shape[2])
    )
    places = F.normalize(pooled.movedim(1, -1), dim=-1)  # (image, row, column, embedding)
    with torch.autocast(patches.device.type, enabled=False):
        logits = scale * places @ words.float().T + log_prior
        return -(targets * logits.log_softmax(dim=-1)).sum(dim=-1).mean()


def targets_of(
    names: Int[Tensor, "image rank row column"],
    probabilities: Float[Tensor, "image rank row column"],
    words: Int[Tensor, " word"],
) -> Float[Tensor, "image row column word"]:
    """Probability of every word at every place; classes of the same name add up.

    Args:
        names: Names of the likeliest classes of each place, by id.
        probabilities: Their probabilities.
        words: Sorted ids of the names that compete.
    """
    name = names.movedim(1, -1).contiguous()  # (image, row, column, rank)
    column = torch.searchsorted(words, name).clamp(max=len(words) - 1)
    there = words[column] == name
    empty = torch.zeros(*name.shape[:-1], len(words), device=name.device)
    return empty.scatter_add(-1, column, probabilities.movedim(1, -1).float() * there)
