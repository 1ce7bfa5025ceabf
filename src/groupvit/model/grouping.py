"""Grouping: tokens become segments (paper, section 3.2.2).

A grouping block is given the tokens s of an image, j = 1..N, and its group tokens g, i = 1..G. Each
token is assigned to one group by the similarity of their projections, and the tokens of a group
are averaged into one segment:

    A_ij = softmax over i of (W_q g_i . W_k s_j / sqrt(dim) + noise_i)
    Â    = one-hot of the largest A_ij, with the gradient of A (straight-through)
    g_i + W_o sum_j Â_ij W_v s_j / (1 + sum_j Â_ij)

The noise is Gumbel(0, 1) in training and absent otherwise. The 1 in the divisor is the released
model's; the paper's Eq. 5 has none. The softmax runs over the groups: every token is shared out
fully, while a group may stay empty.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from groupvit.model.config import GroupingConfig
from groupvit.model.layers import MLP, CrossAttention

COSINE_SCALE = 10.0
"""What the cosine of query and key is multiplied by, where it replaces the dot product."""


class Grouping(NamedTuple):
    """What a grouping block makes of an image's tokens."""

    segments: Float[Tensor, "batch group dim"]
    """One vector for each group."""
    assignment: Float[Tensor, "batch group token"]
    """The share of each token that each group takes, without noise; every token's sum to 1."""
    occupied: Bool[Tensor, "batch group"] | None
    """Which segments hold anything; None where an empty one still holds its group token."""


class LookAtTokens(nn.Module):
    """Lets the groups see the image before they choose: cross attention and MLP, normalized."""

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.attn = CrossAttention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, int(dim * mlp_ratio))
        self.norm_out = nn.LayerNorm(dim)

    def forward(
        self, groups: Float[Tensor, "batch group dim"], tokens: Float[Tensor, "batch token dim"]
    ) -> Float[Tensor, "batch group dim"]:
        """Groups that know the image."""
        groups = groups + self.attn(groups, tokens)
        groups = groups + self.mlp(self.norm2(groups))
        seen: Tensor = self.norm_out(groups)
        return seen


def gumbel_like(x: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """Noise of the standard Gumbel distribution."""
    return -torch.empty_like(x).exponential_().log()


def harden(soft: Float[Tensor, "batch group token"]) -> Float[Tensor, "batch group token"]:
    """The largest share becomes 1, the others 0; the gradient stays that of the shares.

    The first of equal shares wins.
    """
    winner = soft.max(dim=1, keepdim=True).indices  # on a CPU 20 times faster than argmax
    one_hot = torch.zeros_like(soft).scatter(1, winner, 1.0)
    return one_hot - soft.detach() + soft if soft.requires_grad else one_hot


def occupied(assignments: Sequence[Float[Tensor, "batch _ _"]]) -> Bool[Tensor, "batch group"]:
    """Which groups of the last assignment hold a patch, when every token goes to its largest share.

    Args:
        assignments: Of every stage that groups "batch group token", at least one.
    """
    held: Tensor | None = None
    for assignment in assignments:
        taken = harden(assignment.detach()) > 0
        held = (taken if held is None else taken & held[:, None]).any(dim=-1)
    assert held is not None
    return held


def center(
    x: Float[Tensor, "batch token dim"], present: Bool[Tensor, "batch token"] | None
) -> Float[Tensor, "batch token dim"]:
    """The tokens without their mean, over those that are present."""
    if present is None:
        return x - x.mean(dim=1, keepdim=True)
    weight = present / present.sum(dim=1, keepdim=True)
    return x - torch.einsum("btd,bt->bd", x, weight.to(x.dtype))[:, None]


class Assignment(nn.Module):
    """Assigns every token to a group and averages the tokens of each group."""

    def __init__(self, dim: int, config: GroupingConfig) -> None:
        super().__init__()
        self.config = config
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)

    def logits(
        self,
        groups: Float[Tensor, "batch group dim"],
        tokens: Float[Tensor, "batch token dim"],
        present: Bool[Tensor, "batch token"] | None = None,
    ) -> Float[Tensor, "batch group token"]:
        """Similarity of groups and tokens, in float32 even under autocast: ties must not move."""
        query, key = self.query(groups).float(), self.key(tokens).float()
        with torch.autocast(groups.device.type, enabled=False):
            if self.config.similarity == "dot":
                similarity: Tensor = (query @ key.mT) * query.shape[-1] ** -0.5
                return similarity
            if self.config.similarity == "centered":
                query, key = center(query, None), center(key, present)
            return COSINE_SCALE * F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).mT

    def forward(
        self,
        groups: Float[Tensor, "batch group dim"],
        tokens: Float[Tensor, "batch token dim"],
        present: Bool[Tensor, "batch token"] | None = None,
    ) -> Grouping:
        """What each group takes from its tokens, those that are present, and the assignment."""
        logits = self.logits(groups, tokens, present)
        soft = logits.softmax(dim=1)
        used = soft
        if self.config.assignment == "hard":
            noisy = self.training and self.config.noise
            used = harden((logits + gumbel_like(logits)).softmax(dim=1) if noisy else soft)
        if present is not None:
            used = used * present[:, None]
        held = used.sum(dim=-1, keepdim=True)
        mean = (used / (1 + held)).to(tokens.dtype)
        return Grouping(self.proj(mean @ self.value(tokens)), soft, held[..., 0] > 0)


class GroupingBlock(nn.Module):
    """Ends a stage: group tokens look at the tokens, take them, and become segments."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float,
        *,
        num_group_tokens: int,
        num_groups: int,
        config: GroupingConfig,
    ) -> None:
        super().__init__()
        self.residual = config.residual
        self.norm_groups = nn.LayerNorm(dim)
        self.norm_tokens = nn.LayerNorm(dim)
        self.mix_groups = MLP(num_group_tokens, dim // 2, num_groups) if config.mix else None
        self.norm_mixed = nn.LayerNorm(dim) if config.mix else None
        self.look = LookAtTokens(dim, num_heads, mlp_ratio) if config.look else None
        self.assign = Assignment(dim, config)
        self.norm_segments = nn.LayerNorm(dim)
        self.mlp = MLP(dim, int(dim * mlp_ratio))

    def forward(
        self,
        tokens: Float[Tensor, "batch token dim"],
        group_tokens: Float[Tensor, "batch group_token dim"],
        present: Bool[Tensor, "batch token"] | None = None,
    ) -> Grouping:
        """Segments, and which token went where; a token that is not present changes no segment."""
        tokens = self.norm_tokens(tokens)
        groups = self.norm_groups(group_tokens)
        if self.mix_groups is not None and self.norm_mixed is not None:
            groups = self.norm_mixed(self.mix_groups(groups.mT).mT)
        if self.look is not None:
            groups = self.look(groups, tokens)
        taken, assignment, held = self.assign(groups, tokens, present)
        segments = groups + taken if self.residual else taken
        segments = segments + self.mlp(self.norm_segments(segments))
        return Grouping(segments, assignment, None if self.residual else held)
