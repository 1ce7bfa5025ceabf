"""Scores: how well each part of a window, segment or patch, fits each label.

The scores of a pixel are those of its part, so that everything here is a small table per window.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from groupvit.segmentation.labels import Labels
from groupvit.segmentation.protocol import Protocol
from groupvit.text.background import Background, Certainty


def score(
    parts: Float[Tensor, "part embedding"],
    window: Float[Tensor, " embedding"],
    words: Float[Tensor, "word embedding"],
    labels: Labels,
    *,
    logit_scale: Float[Tensor, ""],
    protocol: Protocol,
    background: Background | None,
    certainty: Certainty = "score",
    learned_thresholds: Float[Tensor, " part"] | None = None,
) -> Float[Tensor, "part label"]:
    """Score in [0, 1] of every label for every part; with a background, it comes first.

    Args:
        parts: Segments or patches of a window, L2-normalized.
        window: Embedding of the whole window.
        words: Embeddings of all words, L2-normalized.
        labels: Labels that the words belong to.
        logit_scale: Inverse temperature of the model.
        protocol: Way in which scores are made of similarities.
        background: Thresholds and words of the background.
        certainty: Value that thresholds are compared with.
        learned_thresholds: Cosine threshold of every part, for margins; None: 0.
    """
    similarity = max_over_synonyms(parts @ words.mT, labels)
    logits = logit_scale * similarity
    of_window = max_over_synonyms(logit_scale * window[None] @ words.mT, labels)[0]
    kept = top_labels(of_window, protocol.top_labels)
    scores = logits.masked_fill(~kept, float("-inf")).softmax(dim=-1)
    if protocol.scoring == "product":
        scores = scores * logits.softmax(dim=-1)
    if background is None:
        return scores
    if certainty == "score":
        return with_background(scores, labels, background, keep_best_group=protocol.keep_best_group)
    if learned_thresholds is not None:
        similarity = similarity - learned_thresholds[:, None]
    return with_unlike_background(scores, similarity, labels, background, logit_scale)


def max_over_synonyms(
    logits: Float[Tensor, "row word"], labels: Labels
) -> Float[Tensor, "row label"]:
    """Logit of each label: the highest of its words."""
    num_labels = len(labels.names) + len(labels.background)
    if len(labels.words) == num_labels:
        return logits
    owners = torch.tensor(labels.owners, device=logits.device).expand_as(logits)
    lowest = logits.new_full((len(logits), num_labels), float("-inf"))
    return lowest.scatter_reduce(1, owners, logits, reduce="amax")


def top_labels(logits: Float[Tensor, " label"], count: int | None) -> Bool[Tensor, " label"]:
    """Mask of the `count` labels with the highest logits; all of them for None."""
    kept = torch.ones_like(logits, dtype=torch.bool)
    if count is None or count >= len(logits):
        return kept
    kept[logits.argsort(descending=True, stable=True)[count:]] = False
    return kept


def with_background(
    scores: Float[Tensor, "part any_label"],
    labels: Labels,
    background: Background,
    *,
    keep_best_group: bool,
) -> Float[Tensor, "part label_or_background"]:
    """Scores with a first column for the background, by thresholds of the scores themselves.

    The column is 1 for parts whose best label is below its threshold, else the score of the best
    background word.

    Args:
        scores: Scores of all labels, those of the background too.
        labels: Labels that were scored.
        background: Thresholds.
        keep_best_group: Lower the common threshold to the highest score of the window.
    """
    count = len(labels.names)
    named, unnamed = scores[:, :count], scores[:, count:]
    best, winner = named.max(dim=1)
    below = torch.zeros_like(best, dtype=torch.bool)
    if background.threshold is not None:
        confidence = scores.max(dim=1).values
        highest = float(confidence.max()) if keep_best_group else 1.0
        below |= confidence < min(background.threshold, highest)
    if background.thresholds:
        limits = [background.thresholds.get(name, 0.0) for name in labels.names]
        below |= best < best.new_tensor(limits)[winner]
    column = unnamed.amax(dim=1) if labels.background else scores.new_zeros(len(scores))
    return torch.cat([column.masked_fill(below, 1.0)[:, None], named], dim=1)


def with_unlike_background(
    scores: Float[Tensor, "part any_label"],
    similarity: Float[Tensor, "part any_label"],
    labels: Labels,
    background: Background,
    logit_scale: Float[Tensor, ""],
) -> Float[Tensor, "part label_or_background"]:
    """Scores with a first column for the background, by thresholds of cosines or margins.

        fit_l        = sigmoid(logit scale * (cosine of part and label l - threshold of l))
        background   = 1 - the best fit, or the score of the best background word
        score_l      = fit_l * softmax over labels

    The softmax finds the nearest label, also for a part that is near to none. Each fit is a
    decision of its own, as in the sigmoid loss (Zhai et al. 2023). It changes smoothly, so that
    borders can be found between patches.

    Args:
        scores: Softmax over all labels, those of the background too.
        similarity: Cosines or margins.
        labels: Labels that were scored.
        background: Thresholds of the same kind.
        logit_scale: Inverse temperature of the model.
    """
    count = len(labels.names)
    thresholds = []
    for name in labels.names:
        threshold = background.thresholds.get(name, background.threshold)
        thresholds.append(-math.inf if threshold is None else threshold)
    fits = torch.sigmoid(logit_scale * (similarity[:, :count] - similarity.new_tensor(thresholds)))
    column = 1 - fits.amax(dim=1)
    if labels.background:
        column = torch.maximum(column, scores[:, count:].amax(dim=1))
    return torch.cat([column[:, None], fits * scores[:, :count]], dim=1)
