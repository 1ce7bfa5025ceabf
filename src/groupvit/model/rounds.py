"""Grouping inside one image, without weights: rounds of nearest mean, then merging.

A grouping block of one round compares every token with group tokens that are the same for all
images. Rounds adapt them to the image: every token goes to the nearest mean, and every mean becomes
the mean of what it took,

    A_j   = one-hot over i of the least |m_i - s_j|^2
    m_i   = sum_j A_ij s_j / sum_j A_ij

The means begin on a grid, as those of superpixels do (SLIC, Achanta et al. 2012), so that the parts
are many and small; `merge` joins them to few by Ward's criterion (Ward 1963). Slot attention
(Locatello et al. 2020) is the soft and learned form of the rounds. Both functions compute in
float32, are the same on every call, and hold no gradient: an assignment is a choice.
"""

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from groupvit.model.grouping import harden


class Parts(NamedTuple):
    """Parts of images: groups of their tokens."""

    means: Float[Tensor, "batch part dim"]
    """Mean of the tokens of each part; 0 for an empty part."""
    sizes: Float[Tensor, "batch part"]
    """Number of tokens in each part, which may be 0."""


def parts(
    features: Float[Tensor, "batch token dim"], assignment: Float[Tensor, "batch part token"]
) -> Parts:
    """Mean and size of each part under a one-hot assignment."""
    sizes = assignment.sum(dim=-1)
    return Parts(assignment @ features / sizes.clamp(min=1)[..., None], sizes)


@torch.no_grad()
def group_by_rounds(
    features: Float[Tensor, "batch token dim"],
    grid: tuple[int, int],
    *,
    seeds: int = 7,
    rounds: int = 10,
) -> Float[Tensor, "batch group token"]:
    """Group the tokens of each image around the nearest means; the assignment is one-hot.

    A group whose mean is nearest to no token stays empty and keeps its mean. Of equal distances the
    first group wins.

    Args:
        features: Tokens row by row, whose squared Euclidean distances tell what belongs together;
            see `groupvit.model.cues`.
        grid: Rows and columns of the tokens.
        seeds: Rows and columns of the grid of cells whose means are the first means; there are
            seeds x seeds groups.
        rounds: Number of assignments.
    """
    with torch.autocast(features.device.type, enabled=False):
        features = features.float()
        means = seed_means(features, grid, seeds)
        assignment = _nearest(features, means)
        for _ in range(rounds - 1):
            found = parts(features, assignment)
            means = torch.where(found.sizes[..., None] > 0, found.means, means)
            assignment = _nearest(features, means)
        return assignment


def seed_means(
    features: Float[Tensor, "batch token dim"], grid: tuple[int, int], seeds: int
) -> Float[Tensor, "batch group dim"]:
    """Mean of the tokens in each cell of a grid of seeds x seeds cells, row by row.

    Cells share a row or column of tokens where the lengths do not divide.
    """
    height, width = grid
    cells = torch.einsum(
        "ah,bw,nhwd->nabd",
        _cells(height, seeds, features),
        _cells(width, seeds, features),
        rearrange(features, "batch (height width) dim -> batch height width dim", height=height),
    )
    return rearrange(cells, "batch rows columns dim -> batch (rows columns) dim")


def _cells(length: int, seeds: int, like: Tensor) -> Float[Tensor, "cell position"]:
    """Share of each position of an axis in each of its cells."""
    position = torch.arange(length, device=like.device)
    cell = torch.arange(seeds, device=like.device)[:, None]
    # floor(cell length / seeds) to ceil((cell + 1) length / seeds)
    inside = (position >= cell * length // seeds) & (position * seeds < (cell + 1) * length)
    weight = inside.to(like.dtype)
    return weight / weight.sum(dim=1, keepdim=True)


def _nearest(
    features: Float[Tensor, "batch token dim"], means: Float[Tensor, "batch group dim"]
) -> Float[Tensor, "batch group token"]:
    # The least |m - s|^2 is the largest m s - |m|^2 / 2: |s|^2 is the same for every mean.
    half = means.square().sum(dim=-1, keepdim=True) / 2
    return harden(torch.baddbmm(half, means, features.mT, beta=-1))


@torch.no_grad()
def merge(
    means: Float[Tensor, "batch part dim"], sizes: Float[Tensor, "batch part"], num_groups: int
) -> Float[Tensor, "batch group part"]:
    """Join the parts of each image to few groups by Ward's criterion; the assignment is one-hot.

    Step by step the two groups are joined whose union adds least to the squared distances of all
    tokens from the mean of their group: n_a n_b / (n_a + n_b) |m_a - m_b|^2. Parts of size 0 cost
    nothing: they join first and change no mean, and with fewer other parts than groups, the groups
    that are left over hold nothing else. Groups are in the order of their first parts. With no more
    parts than groups every part is a group, and the last groups are empty.

    Args:
        means: Mean of each part.
        sizes: Number of tokens in each part.
        num_groups: Number of groups.
    """
    num_parts = sizes.shape[1]
    with torch.autocast(means.device.type, enabled=False):
        state = _begin(means.float(), sizes.float())
        for _ in range(num_parts - num_groups):
            state = _join_cheapest(state)
    first = torch.arange(num_parts, device=means.device) == state.leaders  # (batch, part)
    rank = first.cumsum(dim=1) - 1
    groups = torch.arange(num_groups, device=means.device)[:, None]
    return (rank.gather(1, state.leaders)[:, None] == groups).float()


class _Merging(NamedTuple):
    """Groups so far, each in the place of its first part; the other places are closed."""

    costs: Float[Tensor, "batch part part"]
    """Cost of each union; infinite on the diagonal and in closed places."""
    sizes: Float[Tensor, "batch part"]
    leaders: Int[Tensor, "batch part"]
    """Place of the group of each part."""


def _begin(means: Float[Tensor, "batch part dim"], sizes: Float[Tensor, "batch part"]) -> _Merging:
    apart = (means[:, :, None] - means[:, None]).square().sum(dim=-1)
    pairs = sizes[:, :, None] * sizes[:, None]
    costs = apart * pairs / (sizes[:, :, None] + sizes[:, None]).clamp(min=1)
    itself = torch.eye(sizes.shape[1], dtype=torch.bool, device=sizes.device)
    leaders = torch.arange(sizes.shape[1], device=sizes.device).expand(sizes.shape)
    return _Merging(costs.masked_fill(itself, torch.inf), sizes, leaders)


def _join_cheapest(state: _Merging) -> _Merging:
    """Join two groups of each image, and update the costs by the formula of Lance and Williams."""
    costs, sizes, leaders = state
    num_parts = sizes.shape[1]
    cheapest, place = costs.flatten(1).min(dim=1, keepdim=True)  # (batch, 1)
    row, column = place // num_parts, place % num_parts
    kept, closed = torch.minimum(row, column), torch.maximum(row, column)
    size_kept, size_closed = sizes.gather(1, kept), sizes.gather(1, closed)
    rows = torch.stack([kept, closed], dim=1).expand(-1, -1, num_parts)
    to_kept, to_closed = costs.gather(1, rows).unbind(dim=1)  # (batch, part)
    united = (size_kept + sizes) * to_kept + (size_closed + sizes) * to_closed - sizes * cheapest
    united = united / (size_kept + size_closed + sizes).clamp(min=1)
    positions = torch.arange(num_parts, device=sizes.device)
    is_kept, is_closed = positions == kept, positions == closed
    united = united.masked_fill(to_kept.isinf() | to_closed.isinf(), torch.inf)
    costs = torch.where(is_kept[:, None], united[:, :, None], costs)
    costs = torch.where(is_kept[:, :, None], united[:, None], costs)
    costs = costs.masked_fill(is_closed[:, None] | is_closed[:, :, None], torch.inf)
    sizes = torch.where(is_kept, size_kept + size_closed, sizes)
    return _Merging(costs, sizes, torch.where(leaders == closed, kept, leaders))
