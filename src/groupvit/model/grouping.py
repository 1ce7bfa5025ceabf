"""Grouping blocks: tokens become segments (paper, section 3.2.2).

A grouping block ends a stage. It takes the tokens s of an image, j = 1..N, and its group tokens g,
i = 1..G, assigns every token to the groups by the similarity of their projections, and averages the
tokens of a group into one segment:

    A_ij  = softmax over i of sim(W_q g_i, W_k s_j)
    out_i = W_o sum_j A_ij W_v s_j / (1 + sum_j A_ij)

The softmax runs over the groups: the shares of every token sum to 1, while a group may stay empty.
The 1 in the divisor is the released model's; Eq. 5 of the paper has none.

Two blocks stand beside each other. `HardGrouping` is the paper's; `SoftGrouping` lets a group know
the image only through the tokens that it takes. `docs/grouping.md` measures what each step is
worth. Another block is another `GroupingBlock`, chosen in
`groupvit.model.image_encoder.grouping_block` or handed to `GroupViT(make_grouping=...)`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from groupvit.model.layers import MLP, CrossAttention


class Grouping(NamedTuple):
    """Result of a grouping block."""

    segments: Float[Tensor, "batch group dim"]
    """One vector for each group."""
    assignment: Float[Tensor, "batch group token"]
    """Share of each token that each group takes, without noise; sums to 1 over the groups."""
    present: Bool[Tensor, "batch group"] | None
    """Segments that hold anything; None where an empty segment still holds its group token."""


def gumbel_like(x: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """Noise of the standard Gumbel distribution, of the shape of x."""
    return -torch.empty_like(x).exponential_().log()


def harden(soft: Float[Tensor, "batch group token"]) -> Float[Tensor, "batch group token"]:
    """One-hot of the largest share of each token, with the gradient of the shares.

    This is the straight-through estimator (paper, Eq. 4). The first of equal shares wins.
    """
    winner = soft.max(dim=1, keepdim=True).indices  # on a CPU 20 times faster than argmax
    one_hot = torch.zeros_like(soft).scatter(1, winner, 1.0)
    return one_hot - soft.detach() + soft if soft.requires_grad else one_hot


def occupied_by_stage(
    assignments: Sequence[Float[Tensor, "batch _ _"]],
) -> tuple[Bool[Tensor, "batch _"], ...]:
    """Groups of every stage that hold a patch when every token goes to its group of largest share.

    Args:
        assignments: Soft assignment "batch group token" of every stage; the groups of one stage are
            the tokens of the next.
    """
    stages: list[Tensor] = []
    for assignment in assignments:
        taken = harden(assignment.detach()) > 0  # (batch, group, token)
        if stages:
            taken = taken & stages[-1][:, None]
        stages.append(taken.any(dim=-1))
    return tuple(stages)


class Projections(nn.Module):
    """Four linear maps of an assignment: query of the groups; key, value of the tokens; output."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)

    def average(
        self,
        shares: Float[Tensor, "batch group token"],
        held: Float[Tensor, "batch group 1"],
        tokens: Float[Tensor, "batch token dim"],
    ) -> Float[Tensor, "batch group dim"]:
        """Projected mean of the tokens of each group; near 0 for a group that holds little.

        Args:
            shares: Share of each token that each group takes.
            held: Sum of the shares of each group.
            tokens: The tokens.
        """
        mean = (shares / (1 + held)).to(tokens.dtype)
        averaged: Tensor = self.proj(mean @ self.value(tokens))
        return averaged


class GroupAttention(nn.Module):
    """Cross attention from groups to tokens, then an MLP, normalized."""

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.attn = CrossAttention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, int(dim * mlp_ratio))
        self.norm_out = nn.LayerNorm(dim)

    def forward(
        self, groups: Float[Tensor, "batch group dim"], tokens: Float[Tensor, "batch token dim"]
    ) -> Float[Tensor, "batch group dim"]:
        """Groups updated by the tokens of the image."""
        groups = groups + self.attn(groups, tokens)
        groups = groups + self.mlp(self.norm2(groups))
        updated: Tensor = self.norm_out(groups)
        return updated


class GroupingBlock(nn.Module):
    """Base of the grouping blocks."""

    token_std: float
    """Standard deviation of the initial group tokens of the first stage."""
    later_token_std: float
    """The same in later stages, where projected tokens of the stage before add to them."""

    def forward(
        self,
        tokens: Float[Tensor, "batch token dim"],
        group_tokens: Float[Tensor, "batch group_token dim"],
        present: Bool[Tensor, "batch token"] | None = None,
    ) -> Grouping:
        """Segments of the tokens, and the assignment.

        Args:
            tokens: Patches, or the segments of the stage before.
            group_tokens: Group tokens of the stage.
            present: Tokens that hold anything; None: all.
        """
        raise NotImplementedError


class HardGrouping(GroupingBlock):
    """Grouping block of the paper: every token chooses one group (Eqs. 2 to 5).

    An MLP mixes the group tokens into groups, the groups attend to the tokens, every token goes
    whole to one group by a straight-through Gumbel softmax over scaled dot products, and a segment
    is its group plus the average of what the group took.
    """

    token_std, later_token_std = 0.02, 0.0

    def __init__(
        self, dim: int, num_heads: int, mlp_ratio: float, *, num_group_tokens: int, num_groups: int
    ) -> None:
        super().__init__()
        self.norm_groups = nn.LayerNorm(dim)
        self.norm_tokens = nn.LayerNorm(dim)
        self.mix_groups = MLP(num_group_tokens, dim // 2, num_groups)
        self.norm_mixed = nn.LayerNorm(dim)
        self.cross_attn = GroupAttention(dim, num_heads, mlp_ratio)
        self.assign = Projections(dim)
        self.norm_segments = nn.LayerNorm(dim)
        self.mlp = MLP(dim, int(dim * mlp_ratio))

    def forward(
        self,
        tokens: Float[Tensor, "batch token dim"],
        group_tokens: Float[Tensor, "batch group_token dim"],
        present: Bool[Tensor, "batch token"] | None = None,  # noqa: ARG002
    ) -> Grouping:
        """Segments of all tokens: one that holds nothing still holds its group, and counts."""
        tokens = self.norm_tokens(tokens)
        groups = self.norm_mixed(self.mix_groups(self.norm_groups(group_tokens).mT).mT)
        groups = self.cross_attn(groups, tokens)
        soft, chosen = self.choose(groups, tokens)
        segments = groups + self.assign.average(chosen, chosen.sum(dim=-1, keepdim=True), tokens)
        segments = segments + self.mlp(self.norm_segments(segments))
        return Grouping(segments, soft, None)

    def choose(
        self, groups: Float[Tensor, "batch group dim"], tokens: Float[Tensor, "batch token dim"]
    ) -> tuple[Float[Tensor, "batch group token"], Float[Tensor, "batch group token"]]:
        """Soft assignment without noise, and the one-hot choice, with Gumbel noise in training."""
        query, key = self.assign.query(groups).float(), self.assign.key(tokens).float()
        # In float32 even under autocast: rounding must not decide between groups.
        with torch.autocast(groups.device.type, enabled=False):
            logits = (query @ key.mT) * query.shape[-1] ** -0.5
            soft = logits.softmax(dim=1)
            if not self.training:
                return soft, harden(soft)
            return soft, harden((logits + gumbel_like(logits)).softmax(dim=1))


class SoftGrouping(GroupingBlock):
    """Grouping block of our recipe `levels`: groups know the image only by the tokens they take.

    The group tokens are the groups. Similarity is 10 times the cosine of query and key after the
    mean over the groups and the mean over the tokens of the image are subtracted, so that no group
    is near all tokens. The assignment is soft, and a segment is the average of what its group took,
    without the group itself.
    """

    token_std, later_token_std = 1.0, 1.0  # patch tokens have about 1
    cosine_scale = 10.0
    """Factor of the cosine of query and key."""

    def __init__(self, dim: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm_groups = nn.LayerNorm(dim)
        self.norm_tokens = nn.LayerNorm(dim)
        self.assign = Projections(dim)
        self.norm_segments = nn.LayerNorm(dim)
        self.mlp = MLP(dim, int(dim * mlp_ratio))

    def forward(
        self,
        tokens: Float[Tensor, "batch token dim"],
        group_tokens: Float[Tensor, "batch group dim"],
        present: Bool[Tensor, "batch token"] | None = None,
    ) -> Grouping:
        """Segments of the tokens that are present, and the assignment of all tokens."""
        tokens, groups = self.norm_tokens(tokens), self.norm_groups(group_tokens)
        shares = self.logits(groups, tokens, present).softmax(dim=1)
        taken = shares if present is None else shares * present[:, None]
        held = taken.sum(dim=-1, keepdim=True)
        segments = self.assign.average(taken, held, tokens)
        segments = segments + self.mlp(self.norm_segments(segments))
        return Grouping(segments, shares, held[..., 0] > 0)

    def logits(
        self,
        groups: Float[Tensor, "batch group dim"],
        tokens: Float[Tensor, "batch token dim"],
        present: Bool[Tensor, "batch token"] | None,
    ) -> Float[Tensor, "batch group token"]:
        """Scaled cosine of groups and tokens, in float32 even under autocast."""
        query, key = self.assign.query(groups).float(), self.assign.key(tokens).float()
        with torch.autocast(groups.device.type, enabled=False):
            query, key = center(query, None), center(key, present)
            scaled = self.cosine_scale * F.normalize(query, dim=-1)
            return scaled @ F.normalize(key, dim=-1).mT


def center(
    x: Float[Tensor, "batch token dim"], present: Bool[Tensor, "batch token"] | None
) -> Float[Tensor, "batch token dim"]:
    """Tokens without their mean over those that are present; None: all."""
    if present is None:
        return x - x.mean(dim=1, keepdim=True)
    weight = present / present.sum(dim=1, keepdim=True)
    return x - torch.einsum("btd,bt->bd", x, weight.to(x.dtype))[:, None]
