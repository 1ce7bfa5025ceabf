"""Training objective: the weighted sum of the losses."""

import math
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.utils._pytree import tree_leaves

from groupvit.data.batch import Batch
from groupvit.distributed import Ranks
from groupvit.model.features import Embedded
from groupvit.model.groupvit import EmbeddedPairs
from groupvit.training import losses, noun_losses
from groupvit.training.config import ObjectiveConfig
from groupvit.training.distillation import distillation, targets_of

NOUN_LOSSES = frozenset({"segment_nouns", "partial_label", "patch_nouns"})
"""Losses on nouns; a batch with nouns has at least one of them."""


class Losses(NamedTuple):
    """Objective of the rows of this rank, and its terms."""

    total: Float[Tensor, ""]
    """Weighted sum of the terms."""
    parts: dict[str, Float[Tensor, ""]]
    """Each loss with a weight above 0, before weighting, by the name of its weight."""
    accuracy: Float[Tensor, ""]
    """Share of images whose own caption is nearest in the joint batch, or of pixels whose own label
    is, [0, 1]."""


def objective(pairs: EmbeddedPairs, batch: Batch, config: ObjectiveConfig, ranks: Ranks) -> Losses:
    """Losses of the rows of this rank; their mean over ranks is that of the joint batch.

    A joint batch without nouns has no losses on nouns.
    """
    parts: dict[str, Tensor] = {}
    if config.caption_weight:
        parts["caption"] = _caption(pairs, config, ranks)
    if config.multi_label_weight and batch.prompt_nouns.shape[1]:
        parts["multi_label"] = losses.multi_label(
            pairs.image.image,
            pairs.text[:, 1 : 1 + batch.prompt_nouns.shape[1]],
            pairs.multi_label_logit_scale,
            form=config.form,
            gather=ranks.gather,
            rank=ranks.rank,
        )
    if config.mutual_information_weight:
        parts["mutual_information"] = _mutual_information(pairs.image)
    if config.of_nouns:
        parts |= _nouns(pairs, batch, config, ranks)
    if config.distillation_weight:
        parts["distillation"] = _distillation(pairs, batch, config, ranks)
    weighted = [getattr(config, f"{name}_weight") * part for name, part in parts.items()]
    total = torch.stack(weighted).sum() if weighted else zero(pairs)
    if ranks.world_size > 1:
        total = total + zero(pairs)
    right = losses.accuracy(
        pairs.image.image, pairs.text[:, 0], gather=ranks.gather, rank=ranks.rank
    )
    return Losses(total, parts, right)


def zero(pairs: EmbeddedPairs) -> Float[Tensor, ""]:
    """Zero, with a gradient of 0 for all that is embedded.

    Ranks wait for a gradient of every parameter, even in a step whose losses do not reach it.
    """
    image = pairs.image
    tensors = tree_leaves((image.image, image.segments, image.patches, *pairs[1:]))
    trained = [tensor for tensor in tensors if tensor is not None and tensor.requires_grad]
    return torch.stack([0 * tensor.sum() for tensor in trained]).sum()


def _mutual_information(image: Embedded) -> Float[Tensor, ""]:
    """Minus the mutual information of tokens and groups, summed over the stages."""
    tokens_present = [None, *image.occupied[:-1]]  # the groups of a stage are the next one's tokens
    terms = [
        noun_losses.negative_mutual_information(assignment, present=present)
        for assignment, present in zip(image.assignments, tokens_present, strict=True)
    ]
    return torch.stack(terms).sum()


def _nouns(
    pairs: EmbeddedPairs, batch: Batch, config: ObjectiveConfig, ranks: Ranks
) -> dict[str, Float[Tensor, ""]]:
    """Losses between the nouns of captions and the parts of images: segments and patches."""
    num_prompts = batch.prompt_nouns.shape[1]
    nouns = noun_losses.collect(
        pairs.text[:, 1 : 1 + num_prompts],
        batch.prompt_nouns,
        batch.caption_nouns,
        gather=ranks.gather,
        log_prior=batch.noun_log_prior,
        own_prior=config.noun_prior,
    )
    if nouns is None:
        return {}
    image, terms = pairs.image, {}
    scale = _noun_scale(pairs, config)
    # Embeddings "image part embedding" of each stage, then of the patches, and which are present.
    parts = list(image.segments if config.every_stage else image.segments[-1:])
    parts = parts if config.of_segments else []
    present = list(image.occupied[len(image.occupied) - len(parts) :])
    similar = [noun_losses.logits(embeddings, nouns, scale) for embeddings in parts]
    for name, loss in (
        ("segment_nouns", noun_losses.multiple_instance),
        ("partial_label", noun_losses.partial_label),
    ):
        if getattr(config, f"{name}_weight"):
            each = [loss(x, nouns, present=y) for x, y in zip(similar, present, strict=True)]
            terms[name] = torch.stack(each).mean()
    if config.patch_nouns_weight and image.patches is not None:
        of_patches = noun_losses.logits(image.patches, nouns, scale)
        terms["patch_nouns"] = noun_losses.multiple_instance(of_patches, nouns)
        if config.segment_distillation_weight:
            terms["segment_distillation"] = noun_losses.segment_distillation(
                image.assignments, similar, of_patches, nouns
            )
        parts.append(image.patches)
        present.append(of_patches.new_ones(of_patches.shape[:2], dtype=torch.bool))
        similar.append(of_patches)
    if config.background_layer_weight and pairs.background is not None:
        each = []
        for embeddings, some, similarity in zip(parts, present, similar, strict=True):
            limits = noun_losses.background_logits(embeddings, pairs.background, scale)
            each.append(noun_losses.background(similarity, limits, nouns, present=some))
        terms["background_layer"] = torch.stack(each).mean()
    return terms


def _noun_scale(pairs: EmbeddedPairs, config: ObjectiveConfig) -> Float[Tensor, ""]:
    """Inverse temperature of the losses on nouns and of the distillation."""
    learned = pairs.multi_label_logit_scale
    return learned.new_tensor(config.noun_scale) if config.noun_scale else learned


def _distillation(
    pairs: EmbeddedPairs, batch: Batch, config: ObjectiveConfig, ranks: Ranks
) -> Float[Tensor, ""]:
    """Loss between the patches and the class names of the classifier."""
    features, classes, patches = batch.features, batch.class_prompts, pairs.image.patches
    assert features is not None
    assert classes is not None
    assert patches is not None
    prompts = pairs.text[:, 1 + batch.prompt_nouns.shape[1] :]  # (image, class name, embedding)
    words = noun_losses.distinct(prompts, classes.names, classes.log_prior, gather=ranks.gather)
    assert words.log_prior is not None
    height, width = features.middle.shape[-2:]
    return distillation(
        rearrange(
            patches,
            "image (height width) embedding -> image height width embedding",
            height=height,
            width=width,
        ),
        words.embeddings,
        targets_of(classes.at_places, features.class_probabilities, words.ids),
        words.log_prior,
        _noun_scale(pairs, config),
    )


def _caption(pairs: EmbeddedPairs, config: ObjectiveConfig, ranks: Ranks) -> Float[Tensor, ""]:
    """Loss between images and captions.

    The bias of the sigmoid loss is learned in its paper. Here it is fixed at minus the logarithm of
    the joint batch size, the log odds that a caption drawn from the batch belongs to the image: the
    model has no parameter for it, and the initial value of the paper, -10, suits 22,000 pairs.
    """
    image, text, scale = pairs.image.image, pairs.text[:, 0], pairs.logit_scale
    if config.caption == "sigmoid":
        bias = -math.log(len(image) * ranks.world_size)
        return losses.sigmoid(image, text, scale, bias, gather=ranks.gather, rank=ranks.rank)
    return losses.contrastive(
        image, text, scale, form=config.form, gather=ranks.gather, rank=ranks.rank
    )
