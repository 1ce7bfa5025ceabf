"""Usage of the groups, which shows a collapse long before the losses do."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class GroupUsage(NamedTuple):
    """Usage of the groups of each stage, averaged over the images.

    A group wins the tokens whose largest share, without noise, it has.
    """

    groups_used: Float[Tensor, " stage"]
    """Number of groups that win any token."""
    entropy: Float[Tensor, " stage"]
    """Entropy of the shares of a token, relative to its maximum: 0 one-hot, 1 uniform."""
    largest: Float[Tensor, " stage"]
    """Share of the tokens won by the group with most of them, [0, 1]."""


@torch.no_grad()
def group_usage(assignments: Sequence[Float[Tensor, "batch _ _"]]) -> GroupUsage:
    """Usage of the groups, from the soft assignment "batch group token" of each stage."""
    if not assignments:
        none = torch.empty(0)
        return GroupUsage(none, none, none)
    stages = [_stage(assignment) for assignment in assignments]
    return GroupUsage(*torch.stack(stages, dim=1))


def summary(group_usage: GroupUsage) -> dict[str, float]:
    """Each number by a name such as `stage1/groups_used`; stage 1 is the first that groups."""
    return {
        f"stage{number}/{name}": value
        for name, values in group_usage._asdict().items()
        for number, value in enumerate(values.tolist(), start=1)
    }


def _stage(assignment: Float[Tensor, "batch group token"]) -> Float[Tensor, "3"]:
    shares = assignment.float()
    batch, num_groups, num_tokens = shares.shape
    winner = shares.max(dim=1).indices
    won = shares.new_zeros(batch, num_groups).scatter_add_(1, winner, shares.new_ones(winner.shape))
    entropy = torch.special.entr(shares).sum(dim=1).mean() / math.log(max(num_groups, 2))
    used = (won > 0).float().sum(dim=1).mean()
    return torch.stack([used, entropy, (won.max(dim=1).values / num_tokens).mean()])
