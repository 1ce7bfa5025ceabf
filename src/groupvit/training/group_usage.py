"""Whether the groups are alive: a training that collapses shows here long before the losses."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class GroupUsage(NamedTuple):
    """How each stage that groups uses its groups, as means over the images.

    A token is won by the group with its largest share, without noise.
    """

    groups_used: Float[Tensor, " stage"]
    """How many groups win any token."""
    entropy: Float[Tensor, " stage"]
    """Entropy of the tokens' shares, as a fraction of its largest value: 0 decided, 1 even."""
    largest: Float[Tensor, " stage"]
    """Share of the tokens that the group with most of them wins, [0, 1]."""


@torch.no_grad()
def group_usage(assignments: Sequence[Float[Tensor, "batch _ _"]]) -> GroupUsage:
    """How the groups are used, from the soft assignment "batch group token" of each stage."""
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
