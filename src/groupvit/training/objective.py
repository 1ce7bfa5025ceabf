"""What training makes small: the losses and their weights."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from groupvit.data.batch import Batch
from groupvit.distributed import Ranks
from groupvit.model.grouping import occupied
from groupvit.training import losses, noun_losses
from groupvit.training.config import ObjectiveConfig
from groupvit.training.towers import Projected


class Losses(NamedTuple):
    """The objective and what it is made of, as this rank sees it."""

    total: Float[Tensor, ""]
    """The weighted sum."""
    parts: dict[str, Float[Tensor, ""]]
    """Each loss that has a weight, before it is weighted, by the name of its weight."""


def objective(projected: Projected, batch: Batch, config: ObjectiveConfig, ranks: Ranks) -> Losses:
    """The losses of this rank's rows among those of all ranks; their mean is that of the batch."""
    parts: dict[str, Tensor] = {}
    if config.caption_weight:
        parts["caption"] = _caption(projected, config, ranks)
    if config.multi_label_weight and batch.prompt_nouns.shape[1]:
        parts["multi_label"] = losses.multi_label(
            projected.image,
            projected.text[:, 1:],
            projected.multi_label_logit_scale,
            form=config.form,
            gather=ranks.gather,
            rank=ranks.rank,
        )
    if config.grouping_weight:
        parts["grouping"] = _grouping(projected.assignments)
    if (config.of_segments or config.token_nouns_weight) and batch.prompt_nouns.shape[1]:
        parts |= _nouns(projected, batch, config, ranks)
    weighted = [getattr(config, f"{name}_weight") * part for name, part in parts.items()]
    return Losses(torch.stack(weighted).sum(), parts)


def _grouping(assignments: Sequence[Float[Tensor, "batch _ _"]]) -> Float[Tensor, ""]:
    """How little the assignments of all stages tell of the tokens that hold anything."""
    terms = [
        noun_losses.indecision(assignment, present=occupied(assignments[:stage]) if stage else None)
        for stage, assignment in enumerate(assignments)
    ]
    return torch.stack(terms).sum()


def _nouns(
    projected: Projected, batch: Batch, config: ObjectiveConfig, ranks: Ranks
) -> dict[str, Float[Tensor, ""]]:
    """The losses between nouns and parts of images that have a weight."""
    nouns = noun_losses.collect(
        projected.text[:, 1:], batch.prompt_nouns, batch.caption_nouns, gather=ranks.gather
    )
    if nouns is None:
        return {}
    scale, parts = projected.multi_label_logit_scale, {}
    levels = _segments(projected) if config.of_segments else []
    similar = [noun_losses.logits(level.embeddings, nouns, scale) for level in levels]
    for name, loss in (("segment_nouns", noun_losses.found), ("naming", noun_losses.named)):
        if getattr(config, f"{name}_weight"):
            each = [loss(x, nouns, present=y.present) for x, y in zip(similar, levels, strict=True)]
            parts[name] = torch.stack(each).mean()
    if config.token_nouns_weight and projected.tokens is not None:
        similarity = noun_losses.logits(projected.tokens, nouns, scale)
        parts["token_nouns"] = noun_losses.found(similarity, nouns)
        if config.painting_weight:
            parts["painting"] = noun_losses.painted(
                projected.assignments, similar, similarity, nouns
            )
        present = similarity.new_ones(similarity.shape[:2], dtype=torch.bool)
        levels.append(Level(projected.tokens, present))
        similar.append(similarity)
    if config.background_weight and projected.background is not None:
        each = []
        for likeness, level in zip(similar, levels, strict=True):
            limits = noun_losses.limits(level.embeddings, projected.background, scale)
            each.append(noun_losses.behind(likeness, limits, nouns, present=level.present))
        parts["background"] = torch.stack(each).mean()
    return parts


class Level(NamedTuple):
    """Parts of images that nouns can meet."""

    embeddings: Float[Tensor, "image part embedding"]
    """L2-normalized."""
    present: Bool[Tensor, "image part"]
    """Which of them there are."""


def _segments(projected: Projected) -> list[Level]:
    """The segments of the stages that are asked for, the first first."""
    if projected.segments is None:
        return []
    stages = [*projected.earlier, projected.segments]
    first = len(projected.assignments) + 1 - len(stages)
    return [
        Level(segments, occupied(projected.assignments[:stage]))
        for stage, segments in enumerate(stages, first)
    ]


def _caption(projected: Projected, config: ObjectiveConfig, ranks: Ranks) -> Float[Tensor, ""]:
    """The loss between images and captions.

    The bias of the sigmoid loss is learned in its paper. Here it stays at minus the logarithm of
    the joint batch size, the log odds that a caption drawn from the batch is the image's own: the
    model has no parameter for it, and the paper's first value, -10, is that of 22,000 pairs.
    """
    image, text, scale = projected.image, projected.text[:, 0], projected.logit_scale
    if config.caption == "sigmoid":
        bias = -math.log(len(image) * ranks.world_size)
        return losses.sigmoid(image, text, scale, bias, gather=ranks.gather, rank=ranks.rank)
    return losses.contrastive(
        image, text, scale, form=config.form, gather=ranks.gather, rank=ranks.rank
    )
