"""Scores: how well every part of a window, group or patch, fits every label.

A pixel's scores are those of its part, so that everything here is a small table per window.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from groupvit.segmentation.protocol import Protocol
from groupvit.segmentation.vocabulary import Query
from groupvit.text.background import Background, Certainty


def score(
    parts: Float[Tensor, "part embedding"],
    window: Float[Tensor, " embedding"],
    words: Float[Tensor, "word embedding"],
    query: Query,
    *,
    logit_scale: Float[Tensor, ""],
    protocol: Protocol,
    background: Background | None,
    certainty: Certainty = "score",
    limits: Float[Tensor, " part"] | float = 0.0,
) -> Float[Tensor, "part label"]:
    """The score in [0, 1] of every label for every part; with a background, it comes first.

    Args:
        parts: Groups or patches of a window, L2-normalized.
        window: The embedding of the whole.
        words: All words, L2-normalized.
        query: What is asked.
        logit_scale: That of the model.
        protocol: How scores are made of similarities.
        background: What belongs to no label.
        certainty: What the background is told by.
        limits: For a margin, the cosine that the model asks for at every part.
    """
    similarity = best_word(parts @ words.mT, query)
    of_parts = logit_scale * similarity
    of_window = best_word(logit_scale * window[None] @ words.mT, query)[0]
    kept = top_labels(of_window, protocol.top_labels)
    scores = of_parts.masked_fill(~kept, float("-inf")).softmax(dim=-1)
    if protocol.scoring == "product":
        scores = scores * of_parts.softmax(dim=-1)
    if background is None:
        return scores
    if certainty == "score":
        return with_background(scores, query, background, spares_best=protocol.spares_best)
    above = similarity - torch.as_tensor(limits).unsqueeze(-1)
    return with_unlike_background(scores, above, query, background, logit_scale)


def best_word(logits: Float[Tensor, "row word"], query: Query) -> Float[Tensor, "row label"]:
    """A label counts as much as the word of it that fits best."""
    if len(query.words) == len(query.labels):
        return logits
    owners = torch.tensor(query.owners, device=logits.device).expand_as(logits)
    lowest = logits.new_full((len(logits), len(query.labels)), float("-inf"))
    return lowest.scatter_reduce(1, owners, logits, reduce="amax")


def top_labels(logits: Float[Tensor, " label"], count: int | None) -> Bool[Tensor, " label"]:
    """Which labels are among those that fit best; all of them without a count."""
    kept = torch.ones_like(logits, dtype=torch.bool)
    if count is None or count >= len(logits):
        return kept
    kept[logits.argsort(descending=True, stable=True)[count:]] = False
    return kept


def with_background(
    scores: Float[Tensor, "part label"], query: Query, background: Background, *, spares_best: bool
) -> Float[Tensor, "part label_or_background"]:
    """The scores with a first column for the background: 1 where it wins for certain.

    Background words have competed; the best of them becomes the score of the background.
    """
    count = len(query.labels) - query.num_background
    labels, behind = scores[:, :count], scores[:, count:]
    column = behind.amax(dim=1) if query.num_background else scores.new_zeros(len(scores))
    column = column.masked_fill(_below(scores, labels, query, background, spares_best), 1.0)
    return torch.cat([column[:, None], labels], dim=1)


def with_unlike_background(
    scores: Float[Tensor, "part any_label"],
    similarity: Float[Tensor, "part any_label"],
    query: Query,
    background: Background,
    logit_scale: Float[Tensor, ""],
) -> Float[Tensor, "part label_or_background"]:
    """The scores with a first column for the background: how unlike all labels a part is.

        fit_l        = sigmoid(logit scale * (cosine of part and label l - threshold of l))
        background   = 1 - the best fit, or the score of the best background word
        score_l      = fit_l * softmax over labels

    A softmax asks which label is nearest; a part that is near to none has a nearest one too. Each
    fit is a question of its own, as in the sigmoid loss (Zhai et al. 2023). It changes smoothly, so
    that borders can be found between patches.

    Args:
        scores: The softmax; background words have competed.
        similarity: Cosines, or margins.
        query: What is asked.
        background: Thresholds of the same kind.
        logit_scale: That of the model.
    """
    count = len(query.labels) - query.num_background
    limits = [
        background.thresholds.get(name, background.threshold) for name in query.labels[:count]
    ]
    limit = similarity.new_tensor([-math.inf if value is None else value for value in limits])
    fits = torch.sigmoid(logit_scale * (similarity[:, :count] - limit))
    column = 1 - fits.amax(dim=1)
    if query.num_background:
        column = torch.maximum(column, scores[:, count:].amax(dim=1))
    return torch.cat([column[:, None], fits * scores[:, :count]], dim=1)


def _below(
    scores: Float[Tensor, "part any_label"],
    labels: Float[Tensor, "part label"],
    query: Query,
    background: Background,
    spares_best: bool,  # noqa: FBT001
) -> Bool[Tensor, " part"]:
    """Which parts are too uncertain of their best label."""
    best, winner = labels.max(dim=1)
    below = torch.zeros_like(best, dtype=torch.bool)
    if background.threshold is not None:
        certain = scores.max(dim=1).values
        spared = float(certain.max()) if spares_best else 1.0
        below |= certain < min(background.threshold, spared)
    if background.thresholds:
        limits = [background.thresholds.get(name, 0.0) for name in query.labels[: labels.shape[1]]]
        below |= best < best.new_tensor(limits)[winner]
    return below
