"""Scores: how well every part of a window, group or patch, fits every label.

A pixel's scores are those of its part, so that everything here is a small table per window.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from groupvit.segmentation.background import Background
from groupvit.segmentation.protocol import Protocol
from groupvit.segmentation.vocabulary import Query


def score(
    parts: Float[Tensor, "part embedding"],
    window: Float[Tensor, " embedding"],
    words: Float[Tensor, "word embedding"],
    query: Query,
    *,
    logit_scale: Float[Tensor, ""],
    protocol: Protocol,
    background: Background | None,
) -> Float[Tensor, "part label"]:
    """The score in [0, 1] of every label for every part; with a background, it comes first."""
    of_parts = best_word(logit_scale * parts @ words.mT, query)
    of_window = best_word(logit_scale * window[None] @ words.mT, query)[0]
    kept = top_labels(of_window, protocol.top_labels)
    scores = of_parts.masked_fill(~kept, float("-inf")).softmax(dim=-1)
    if protocol.scoring == "product":
        scores = scores * of_parts.softmax(dim=-1)
    if background is None:
        return scores
    return with_background(scores, query, background, spares_best=protocol.spares_best)


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
