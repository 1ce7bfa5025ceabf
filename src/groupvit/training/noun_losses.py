"""Losses between the nouns of captions and the parts of images, and the loss on assignments.

The multi-label loss compares prompts with the embedding of the whole image and constrains no single
segment. Here nouns are compared with parts: segments or patches. A noun that several captions of
the joint batch share is one noun, whose embedding is the mean of its prompts, and it is a positive
for all of their images.

Axes: `image` counts the images of this rank, `noun` the different nouns among the prompts of all
ranks, `part` the segments or patches of an image.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

Gather = Callable[[Tensor], Tensor]


class Nouns(NamedTuple):
    """Distinct nouns of a joint batch."""

    embeddings: Float[Tensor, "noun embedding"]
    """L2-normalized."""
    positive: Bool[Tensor, "image noun"]
    """True where the caption of an image of this rank names the noun."""
    share: Float[Tensor, ""]
    """Share of positives among all pairs of an image and a noun."""
    log_odds: Float[Tensor, "*noun"]
    """Log odds that an image and a noun belong together, of each noun, or of all alike."""


def collect(
    prompts: Float[Tensor, "image prompt embedding"],
    prompt_nouns: Int[Tensor, "image prompt"],
    caption_nouns: Int[Tensor, "image place"],
    *,
    gather: Gather,
    log_prior: Float[Tensor, "image prompt"] | None = None,
    own_prior: float = 0.0,
) -> Nouns | None:
    """Nouns that were drawn as prompts on any rank; None if there are none.

    Args:
        prompts: Embeddings of the prompts, L2-normalized.
        prompt_nouns: Noun of each prompt; ids that no caption has are ignored, such as those of
            captions that replace missing nouns.
        caption_nouns: The nouns of each caption, padded with 0.
        gather: The rows of all ranks from those of this one; the identity in one process.
        log_prior: Logarithm of the share of all images that name the noun of each prompt; for
            `own_prior` above 0.
        own_prior: Weight of a noun's own prior in the geometric mean with the share that is common
            to all nouns of the batch, [0, 1].
    """
    named = gather(caption_nouns)
    words = distinct(prompts, prompt_nouns, log_prior if own_prior else None, gather=gather)
    ids, kept = words.ids, torch.isin(words.ids, named) & (words.ids != 0)
    if not kept.any():
        return None
    everywhere = (named[:, :, None] == ids[kept]).any(dim=1)
    positive = (caption_nouns[:, :, None] == ids[kept]).any(dim=1)
    share = everywhere.float().mean()
    prior = share
    if words.log_prior is not None:
        prior = (own_prior * words.log_prior[kept] + (1 - own_prior) * share.log()).exp()
    return Nouns(words.embeddings[kept], positive, share, torch.logit(prior, eps=1e-6))


class Words(NamedTuple):
    """Distinct words among the prompts of all ranks."""

    ids: Int[Tensor, " word"]
    """Sorted."""
    embeddings: Float[Tensor, "word embedding"]
    """Means of the prompts of each word, L2-normalized."""
    log_prior: Float[Tensor, " word"] | None
    """Logarithm of the prior of each word; None: not given."""


def distinct(
    prompts: Float[Tensor, "image prompt embedding"],
    ids: Int[Tensor, "image prompt"],
    log_prior: Float[Tensor, "image prompt"] | None,
    *,
    gather: Gather,
) -> Words:
    """Distinct words among the prompts of all ranks.

    Args:
        prompts: Embeddings of the prompts, L2-normalized.
        ids: Word of each prompt.
        log_prior: Logarithm of the prior of each prompt's word, equal for equal words.
        gather: The rows of all ranks from those of this one; the identity in one process.
    """
    embeddings = rearrange(gather(prompts), "image prompt embedding -> (image prompt) embedding")
    found, which = torch.unique(gather(ids).flatten(), return_inverse=True)
    # As a product, not by index_add_, whose order of adding is not fixed on every device.
    members = F.one_hot(which, len(found)).to(embeddings.dtype)
    own: Tensor | None = None
    if log_prior is not None:
        own = torch.zeros(len(found), device=found.device, dtype=torch.float32)
        own[which] = gather(log_prior).float().flatten()
    return Words(found, F.normalize(members.T @ embeddings, dim=-1), own)


def logits(
    parts: Float[Tensor, "image part embedding"],
    nouns: Nouns,
    scale: Float[Tensor, ""],
) -> Float[Tensor, "image part noun"]:
    """The scaled similarity of every part and every noun, in float32 at least."""
    with torch.autocast(parts.device.type, enabled=False):
        dtype = torch.promote_types(parts.dtype, torch.float32)
        result: Tensor = (scale * parts.to(dtype)) @ nouns.embeddings.to(dtype).T
        return result


def background_logits(
    parts: Float[Tensor, "image part embedding"],
    layer: Float[Tensor, " embedding_and_bias"],
    scale: Float[Tensor, ""],
) -> Float[Tensor, "image part"]:
    """The scaled similarity of every part and the background, in float32 at least."""
    with torch.autocast(parts.device.type, enabled=False):
        exact = parts.to(torch.promote_types(parts.dtype, torch.float32))
        result: Tensor = scale * (exact @ layer[:-1] + layer[-1])
        return result


def multiple_instance(
    similarity: Float[Tensor, "image part noun"],
    nouns: Nouns,
    *,
    present: Bool[Tensor, "image part"] | None = None,
) -> Float[Tensor, ""]:
    """Multiple-instance loss: some part of an image matches each noun of its caption, and no other.

        z_in = log mean over the parts p of exp(s_ipn) + b
        sum_in of the binary cross-entropy of z_in / number of pairs that belong together

    The bias b (`Nouns.log_odds`) is the log odds that an image and a noun belong together, so that
    parts without information predict just that. Every pair is a binary classification of its own,
    as in the sigmoid loss (Zhai et al. 2023), because images share nouns; the sum over the parts is
    multiple-instance learning with log-sum-exp (Pinheiro and Collobert 2015).

    Args:
        similarity: s, from `logits`.
        nouns: The nouns it was made with.
        present: Parts that are occupied; None: all.
    """
    if present is None:
        present = similarity.new_ones(similarity.shape[:2], dtype=torch.bool)
    absent = ~present[:, :, None]
    count = present.sum(dim=1, keepdim=True).clamp(min=1)
    pooled = similarity.masked_fill(absent, float("-inf")).logsumexp(dim=1) - count.log()
    positive = nouns.positive.to(pooled.dtype)
    losses = F.binary_cross_entropy_with_logits(pooled + nouns.log_odds, positive, reduction="sum")
    return losses / (nouns.share * positive.numel()).clamp(min=1)


def partial_label(
    similarity: Float[Tensor, "image part noun"],
    nouns: Nouns,
    *,
    present: Bool[Tensor, "image part"],
) -> Float[Tensor, ""]:
    """Partial-label loss: every part matches some noun of the caption of its image.

        - mean over images i and their parts p of log sum over the nouns n of i of softmax_n(s_ipn)

    What several captions with the same part have in common decides, as in learning from partial
    labels (Jin and Ghahramani 2002). Images without any drawn noun do not contribute.
    """
    nameless = ~nouns.positive.any(dim=1, keepdim=True)
    allowed = (nouns.positive | nameless)[:, None]  # where all are allowed, the loss is 0
    own = similarity.masked_fill(~allowed, float("-inf")).logsumexp(dim=-1)
    shares = (own - similarity.logsumexp(dim=-1)) * present
    means = shares.sum(dim=1) / present.sum(dim=1).clamp(min=1)
    return -means.mean()


def segment_distillation(
    assignments: Sequence[Float[Tensor, "image _ _"]],
    segments: Sequence[Float[Tensor, "image _ noun"]],
    patches: Float[Tensor, "image patch noun"],
    nouns: Nouns,
) -> Float[Tensor, ""]:
    """Distill the nouns of the patches into the segments that hold them.

        - mean over images and patches j of u_j sum_n q_jn log sum_g A_gj p_gn

    A is the chained assignment of patches to the groups of a stage and p_g the softmax of segment
    g's similarity to all nouns: the sum is what an inference by segments would paint. q_j is how
    patch j shares itself out over the nouns of its caption. u_j is 1 where the noun that fits the
    patch best, of all, is one of these, and 0 elsewhere: there the patch is of something that the
    caption leaves out. q and u teach and do not learn. The stages' losses are averaged.

    Args:
        assignments: Of every stage that groups, soft.
        segments: Similarity of the segments, from `logits`, of the last stages that group.
        patches: That of the patches.
        nouns: The nouns they were made with.
    """
    nameless = ~nouns.positive.any(dim=1, keepdim=True)
    allowed = (nouns.positive | nameless)[:, None]
    sure = by_caption(patches, nouns)
    shares = patches.detach().masked_fill(~allowed, float("-inf")).softmax(dim=-1)
    losses, chain = [], None
    for stage, assignment in enumerate(assignments, len(segments) - len(assignments)):
        chain = assignment if chain is None else assignment @ chain
        if stage >= 0:
            paint = torch.einsum("igp,ign->ipn", chain, segments[stage].softmax(dim=-1))
            likeness = (shares * paint.clamp(min=1e-6).log()).sum(dim=-1)
            losses.append(-(likeness * sure).mean())
    return torch.stack(losses).mean()


def by_caption(
    similarity: Float[Tensor, "image part noun"], nouns: Nouns
) -> Bool[Tensor, "image part"]:
    """True where the best of all nouns is one of the caption of the image."""
    best = similarity.detach().max(dim=-1, keepdim=True).indices
    positive: Tensor = nouns.positive[:, None].expand_as(similarity).gather(-1, best)[..., 0]
    return positive


def background(
    similarity: Float[Tensor, "image part noun"],
    limits: Float[Tensor, "image part"],
    nouns: Nouns,
    *,
    present: Bool[Tensor, "image part"],
) -> Float[Tensor, ""]:
    """Loss of the background layer: parts that match no noun of the caption are background.

        z_ip = max over the nouns n of i of s_ipn - limit of ip
        mean over images of [ mean over p with u_ip = 1 of log(1 + exp(-z_ip))
                            + mean over p with u_ip = 0 of log(1 + exp(z_ip)) ] / 2

    u is 1 where the noun that fits the part best, of all, is one of the image's caption, as in
    `segment_distillation`. Both kinds weigh the same, however many there are: captions name
    most of what they show. Images without any drawn noun do not contribute.

    Args:
        similarity: s, from `logits`.
        limits: The scaled similarity that a word must pass to be seen at a part: how much this is
            like the learned background.
        nouns: The nouns it was made with.
        present: Parts that are occupied.
    """
    nameless = ~nouns.positive.any(dim=1, keepdim=True)
    there = by_caption(similarity, nouns)
    own = similarity.masked_fill(~(nouns.positive | nameless)[:, None], float("-inf")).amax(dim=-1)
    terms = []
    for sign, chosen in ((-1, there), (1, ~there)):
        weight = chosen & present & ~nameless
        sums = (F.softplus(sign * (own - limits)) * weight).sum(dim=1)
        terms.append(sums / weight.sum(dim=1).clamp(min=1))
    result: Tensor = torch.stack(terms).mean(dim=0).mean()
    return result


def negative_mutual_information(
    assignment: Float[Tensor, "image group token"],
    *,
    present: Bool[Tensor, "image token"] | None = None,
) -> Float[Tensor, ""]:
    """Minus the mutual information of token and group [nats]: at most 0, at least -log(groups).

        mean over images of [ mean over tokens of H(A_j) - H(mean over tokens of A_j) ]

    It is minus the mutual information of token and group: small where every token is assigned with
    confidence and an image's tokens to different groups (Krause et al. 2010, information
    maximization).

    Args:
        assignment: A, soft.
        present: Tokens that are occupied; None: all.
    """
    if present is None:
        present = assignment.new_ones(assignment.shape[0], assignment.shape[2], dtype=torch.bool)
    weight = present / present.sum(dim=1, keepdim=True).clamp(min=1)
    shares = assignment.clamp(min=1e-8)  # at 0 the entropy has no gradient
    of_tokens = torch.einsum("igt,it->i", torch.special.entr(shares), weight)
    together = torch.einsum("igt,it->ig", shares, weight)
    result: Tensor = (of_tokens - torch.special.entr(together).sum(dim=1)).mean()
    return result
