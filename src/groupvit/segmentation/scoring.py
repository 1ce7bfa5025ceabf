"""Scores: how well each part of a window, segment or patch, fits each label.

The scores of a pixel are those of its part, so that everything here is a small table per window:
rows of embeddings are compared with words, the values of rows are averaged where several make a
part, and then thresholds may separate a background.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from groupvit.segmentation.labels import Labels
from groupvit.segmentation.protocol import Protocol
from groupvit.text.background import Background, Certainty

Reduction = Callable[[Float[Tensor, "row value"]], Float[Tensor, "part value"]]
"""Averages of the values of rows in each part."""
Regularization = Callable[[Float[Tensor, "row label"]], Float[Tensor, "row label"]]
"""Change of the similarities of rows to labels by those of the patches around them."""


class Compared(NamedTuple):
    """Rows compared with labels."""

    scores: Float[Tensor, "row any_label"]
    """Score in [0, 1] of every label, those of the background last; sums to at most 1."""
    similarity: Float[Tensor, "row label"]
    """Cosine of every label but those of the background: the highest of its words."""

    def reduced(self, reduction: Reduction) -> "Compared":
        """Averages of both in each part."""
        return Compared(reduction(self.scores), reduction(self.similarity))


def score(
    rows: Float[Tensor, "row embedding"],
    window: Float[Tensor, " embedding"],
    words: Float[Tensor, "word embedding"],
    labels: Labels,
    *,
    logit_scale: Float[Tensor, ""],
    protocol: Protocol,
    background: Background | None,
    certainty: Certainty = "score",
    learned_thresholds: Float[Tensor, " row"] | None = None,
    reduction: Reduction | None = None,
    regularization: Regularization | None = None,
) -> Float[Tensor, "part label"]:
    """Score in [0, 1] of every label for every part; with a background, it comes first.

    Where rows are averaged in parts, scores, cosines and learned thresholds are averaged first; the
    thresholds of the background apply to these averages.

    Args:
        rows: Segments or patches of a window: L2-normalized, or means of such.
        window: Embedding of the whole window.
        words: Embeddings of all words, L2-normalized.
        labels: Labels that the words belong to.
        logit_scale: Inverse temperature of the model.
        protocol: Way in which scores are made of similarities.
        background: Thresholds and words of the background.
        certainty: Value that thresholds are compared with.
        learned_thresholds: Cosine threshold of every row, for margins; None: 0.
        reduction: Average of the rows of each part; None: every row is a part.
        regularization: Spatial block on the rows; None: none.
    """
    compared = compare(
        rows,
        window,
        words,
        labels,
        logit_scale=logit_scale,
        protocol=protocol,
        regularization=regularization,
    )
    if reduction is not None:
        compared = compared.reduced(reduction)
        if learned_thresholds is not None:
            learned_thresholds = reduction(learned_thresholds[:, None])[:, 0]
    scores, similarity = compared
    if background is None:
        return scores
    if certainty == "score":
        return with_background(scores, labels, background, keep_best_group=protocol.keep_best_group)
    if learned_thresholds is not None:
        similarity = similarity - learned_thresholds[:, None]
    return with_unlike_background(scores, similarity, labels, background, logit_scale)


def compare(
    rows: Float[Tensor, "row embedding"],
    window: Float[Tensor, " embedding"],
    words: Float[Tensor, "word embedding"],
    labels: Labels,
    *,
    logit_scale: Float[Tensor, ""],
    protocol: Protocol,
    regularization: Regularization | None = None,
) -> Compared:
    """Compare rows with all labels; see `score` for the arguments.

        logit_l = max over the words w of label l of scale * cosine_w         (synonyms "max")
        logit_l = log of the sum over these words of exp(scale * cosine_w)    (synonyms "sum")
        score_l = softmax of logit_l over the labels

    With "sum" the score is the sum over the words of a label of their softmax over all words. All
    words of the background then are one label; with "max" each of its labels is one. A
    regularization changes logit_l / scale.
    """
    scale = protocol.scale if isinstance(protocol.scale, (int, float)) else logit_scale
    cosines = rows @ words.mT
    similarity = max_over_synonyms(cosines, labels)
    of_window = scale * window[None] @ words.mT
    if protocol.synonyms == "max":
        logits = scale * similarity
        of_labels = max_over_synonyms(of_window, labels)[0]
    else:
        logits = sum_over_synonyms(scale * cosines, labels)
        of_labels = sum_over_synonyms(of_window, labels)[0]
    if regularization is not None:
        logits = scale * regularization(logits / scale)
    kept = top_labels(of_labels, protocol.top_labels)
    scores = logits.masked_fill(~kept, float("-inf")).softmax(dim=-1)
    if protocol.scoring == "product":
        scores = scores * logits.softmax(dim=-1)
    return Compared(scores, similarity[:, : len(labels.names)])


def max_over_synonyms(
    logits: Float[Tensor, "row word"], labels: Labels
) -> Float[Tensor, "row label"]:
    """Logit of each label, those of the background too: the highest of its words."""
    num_labels = len(labels.names) + len(labels.background)
    if len(labels.words) == num_labels:
        return logits
    return _highest(logits, torch.tensor(labels.owners, device=logits.device), num_labels)


def sum_over_synonyms(
    logits: Float[Tensor, "row word"], labels: Labels
) -> Float[Tensor, "row label"]:
    """Logarithm of the sum of the exponentials of each label's words.

    The background is one label, the last, to which all its words belong. A label of one word has
    exactly its logit.
    """
    num_labels = len(labels.names) + bool(labels.background)
    if len(labels.words) == num_labels:
        return logits
    owners = torch.tensor(labels.owners, device=logits.device).clamp(max=len(labels.names))
    highest = _highest(logits, owners, num_labels)
    sums = torch.zeros_like(highest).index_add(1, owners, (logits - highest[:, owners]).exp())
    return highest + sums.log()


def _highest(
    logits: Float[Tensor, "row word"], owners: Int[Tensor, " word"], num_labels: int
) -> Float[Tensor, "row label"]:
    lowest = logits.new_full((len(logits), num_labels), float("-inf"))
    return lowest.scatter_reduce(1, owners.expand_as(logits), logits, reduce="amax")


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
    background label: with synonyms that add, the sum over all words of the background.

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
    similarity: Float[Tensor, "part label"],
    labels: Labels,
    background: Background,
    logit_scale: Float[Tensor, ""],
) -> Float[Tensor, "part label_or_background"]:
    """Scores with a first column for the background, by thresholds of cosines or margins.

        fit_l        = sigmoid(logit scale * (cosine of part and label l - threshold of l))
        background   = 1 - the best fit, or the score of the best background label
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
    fits = torch.sigmoid(logit_scale * (similarity - similarity.new_tensor(thresholds)))
    column = 1 - fits.amax(dim=1)
    if labels.background:
        column = torch.maximum(column, scores[:, count:].amax(dim=1))
    return torch.cat([column[:, None], fits * scores[:, :count]], dim=1)
