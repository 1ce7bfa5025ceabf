"""Losses between images and texts: pure functions of embeddings and a scale.

Axes: `row` counts the pairs of this rank (B of them); the columns that they are compared with are
the pairs of all ranks, `gather`ed, of which those of this rank begin at `rank` B. A mean over the
ranks of what these functions give is the value for the joint batch.
"""

from collections.abc import Callable
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Form = Literal["code", "paper"]
Gather = Callable[[Tensor], Tensor]


def contrastive(
    image: Float[Tensor, "row embedding"],
    text: Float[Tensor, "row embedding"],
    scale: Float[Tensor, ""],
    *,
    form: Form = "code",
    gather: Gather,
    rank: int,
) -> Float[Tensor, ""]:
    """Contrastive loss between images and captions (paper, Eqs. 7 and 8).

        - 1/B sum_i [ log softmax_j(s I_i . T_j)_i + log softmax_j(s T_i . I_j)_i ]

    It is half of that in the released code. The multi-label loss with one prompt for each image
    is the same.

    Args:
        image: L2-normalized.
        text: The caption of each image, L2-normalized.
        scale: s, the inverse temperature.
        form: The paper's sum of both directions, or their mean, as in the released code.
        gather: Function from the rows of this rank to those of all; the identity in one process.
        rank: Index of this rank.
    """
    return multi_label(image, text[:, None], scale, form=form, gather=gather, rank=rank)


def multi_label(
    image: Float[Tensor, "row embedding"],
    prompts: Float[Tensor, "row prompt embedding"],
    scale: Float[Tensor, ""],
    *,
    form: Form,
    gather: Gather,
    rank: int,
) -> Float[Tensor, ""]:
    """Multi-label contrastive loss between images and their K prompts (paper, Eqs. 9 to 11).

    With p_i(j, k) = softmax over all prompts of s I_i . T_jk, and q_ik(j) = softmax over all
    images of s T_ik . I_j, the paper's form and that of the released code are

        paper:  - 1/B sum_i log sum_k p_i(i, k)        - 1/(BK) sum_ik log q_ik(i)
        code:   [ - 1/(BK) sum_ik log p_i(i, k)        - 1/(BK) sum_ik log q_ik(i) ] / 2

    In the form of the paper one matching prompt is enough; in that of the code all count alike.

    Args:
        image: I, L2-normalized.
        prompts: T, of each image as many, L2-normalized.
        scale: s, the inverse temperature.
        form: `code` or `paper`.
        gather: Function from the rows of this rank to those of all; the identity in one process.
        rank: Index of this rank.
    """
    batch, num_prompts = prompts.shape[:2]
    with torch.autocast(image.device.type, enabled=False):
        image, prompts, scale = _exact(image), _exact(prompts), _exact(scale)
        texts = rearrange(prompts, "row prompt embedding -> (row prompt) embedding")
        to_prompts = rearrange(
            (scale * image) @ gather(texts).T,
            "row (column prompt) -> row column prompt",
            prompt=num_prompts,
        )
        rows = torch.arange(batch, device=image.device)
        own = rows + batch * rank
        found = to_prompts[rows, own]
        found = found.logsumexp(dim=1) if form == "paper" else found.mean(dim=1)
        image_loss = (to_prompts.logsumexp(dim=(1, 2)) - found).mean()
        to_images = (scale * texts) @ gather(image).T
        text_loss = F.cross_entropy(to_images, own.repeat_interleave(num_prompts))
        both = image_loss + text_loss
        return both if form == "paper" else both / 2


def sigmoid(
    image: Float[Tensor, "row embedding"],
    text: Float[Tensor, "row embedding"],
    scale: Float[Tensor, ""],
    bias: float,
    *,
    gather: Gather,
    rank: int,
) -> Float[Tensor, ""]:
    """Sigmoid loss: a binary classification of every pair of an image and a caption.

        - 1/B sum_i sum_j log sigmoid(z_ij (s I_i . T_j + b)),    z_ij = 1 if i = j, else -1

    Source: Zhai et al. 2023, Sigmoid Loss for Language Image Pre-Training.

    Args:
        image: I, L2-normalized.
        text: T, the caption of each image, L2-normalized.
        scale: s.
        bias: b, the log odds that an image and a caption belong together if their embeddings
            carry no information.
        gather: Function from the rows of this rank to those of all; the identity in one process.
        rank: Index of this rank.
    """
    with torch.autocast(image.device.type, enabled=False):
        image, text, scale = _exact(image), _exact(text), _exact(scale)
        logits = (scale * image) @ gather(text).T + bias
        rows = torch.arange(len(image), device=image.device)
        belong = -torch.ones_like(logits)
        belong[rows, rows + len(image) * rank] = 1
        return -F.logsigmoid(belong * logits).sum(dim=1).mean()


@torch.no_grad()
def accuracy(
    image: Float[Tensor, "row embedding"],
    text: Float[Tensor, "row embedding"],
    *,
    gather: Gather,
    rank: int,
) -> Float[Tensor, ""]:
    """Share of images whose own caption is the nearest of all in the joint batch, [0, 1].

    The first of equal captions wins, so that embeddings that are all the same find one only.
    """
    with torch.autocast(image.device.type, enabled=False):
        nearest = (_exact(image) @ gather(_exact(text)).T).max(dim=1).indices
        own = torch.arange(len(image), device=image.device) + len(image) * rank
        return (nearest == own).float().mean()


def _exact(x: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """In float32 at least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
