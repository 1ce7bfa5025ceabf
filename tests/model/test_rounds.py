import pytest
import torch
from scipy.cluster.hierarchy import fcluster, ward

from groupvit.model.rounds import group_by_rounds, merge, parts, seed_means


def groups_of(assignment):
    """Sets of the tokens of each group that holds any, for the one image."""
    return {tuple(row.nonzero()[:, 0].tolist()) for row in assignment[0] if row.any()}


def cost(means, sizes, assignment):
    """Squared distance of all tokens of a group from its mean, over all groups, by definition."""
    weights = assignment * sizes
    centers = (weights @ means) / weights.sum(dim=1, keepdim=True).clamp(min=1)
    nearest = assignment.T @ centers
    return ((means - nearest).square().sum(dim=1) * sizes).sum()


def slow_merge(means, sizes, num_groups):
    """Groups of parts, joined one pair at a time; every cost is computed anew."""
    groups = [[part] for part in range(len(sizes))]
    while len(groups) > num_groups:
        costs = {}
        for first in range(len(groups)):
            for second in range(first + 1, len(groups)):
                centers, counts = [], []
                for group in (groups[first], groups[second]):
                    total = sizes[group].sum()
                    centers.append((sizes[group, None] * means[group]).sum(dim=0) / total)
                    counts.append(total)
                apart = (centers[0] - centers[1]).square().sum()
                costs[first, second] = counts[0] * counts[1] / sum(counts) * apart
        first, second = min(costs, key=costs.get)
        groups[first] += groups.pop(second)
    return {tuple(sorted(group)) for group in groups}


def test_the_first_means_are_those_of_the_cells(draw):
    features = draw(2, 6 * 4, 5)
    image = features.view(2, 6, 4, 5)
    expected = torch.stack(
        [image[:, 3 * row : 3 * row + 3, 2 * column : 2 * column + 2].mean(dim=(1, 2))
         for row in range(2) for column in range(2)], dim=1,
    )  # fmt: skip
    torch.testing.assert_close(seed_means(features, (6, 4), 2), expected)


@pytest.mark.parametrize("grid", [(7, 11), (3, 2), (1, 5)])
def test_cells_of_grids_that_do_not_divide_are_those_of_adaptive_pooling(draw, grid):
    features = draw(2, grid[0] * grid[1], 5)
    pooled = torch.nn.functional.adaptive_avg_pool2d(features.mT.view(2, 5, *grid), 4)
    torch.testing.assert_close(seed_means(features, grid, 4), pooled.flatten(2).mT)


def test_every_token_goes_to_one_group(draw):
    assignment = group_by_rounds(draw(2, 12 * 9, 5), (12, 9), seeds=3)
    assert assignment.shape == (2, 9, 12 * 9)
    assert set(assignment.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(assignment.sum(dim=1), torch.ones(2, 12 * 9))


def test_many_rounds_end_where_every_token_is_at_the_nearest_mean(draw):
    features = draw(1, 100, 3)
    assignment = group_by_rounds(features, (10, 10), seeds=2, rounds=100)
    means = parts(features, assignment).means
    nearest = torch.cdist(features, means).argmin(dim=2)
    assert torch.equal(assignment.argmax(dim=1), nearest)


def test_rounds_lower_the_distances(draw):
    features, sizes = draw(1, 100, 3), torch.ones(100)
    costs = [
        cost(features[0], sizes, group_by_rounds(features, (10, 10), seeds=3, rounds=rounds)[0])
        for rounds in (1, 2, 4, 8)
    ]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < 0.9 * costs[0]


def test_an_image_is_grouped_the_same_in_any_batch(draw):
    features = draw(3, 100, 4)
    whole = group_by_rounds(features, (10, 10), seeds=3)
    alone = torch.cat([group_by_rounds(one[None], (10, 10), seeds=3) for one in features])
    assert torch.equal(whole, alone)


def test_regions_are_found_wherever_their_borders_are():
    features = torch.zeros(1, 10, 10, 1)
    features[:, :, 3:] = 1.0
    assignment = group_by_rounds(features.view(1, 100, 1), (10, 10), seeds=2)
    left = (features.view(-1) == 0).nonzero()[:, 0].tolist()
    assert tuple(left) in groups_of(assignment)


def test_a_mean_without_tokens_stays_empty():
    assignment = group_by_rounds(torch.ones(1, 16, 2), (4, 4), seeds=2)
    assert torch.equal(assignment[0].sum(dim=1), torch.tensor([16.0, 0, 0, 0]))
    assert torch.equal(parts(torch.ones(1, 16, 2), assignment).means[0, 1:], torch.zeros(3, 2))


def test_no_gradient_passes_an_assignment(draw):
    features = draw(1, 16, 2).requires_grad_()
    assert not group_by_rounds(features, (4, 4), seeds=2).requires_grad


def test_merging_is_wards_where_sizes_are_equal(draw):
    means = draw(1, 20, 4)
    labels = fcluster(ward(means[0].numpy()), 6, criterion="maxclust")
    expected = {tuple((labels == label).nonzero()[0].tolist()) for label in set(labels)}
    assert groups_of(merge(means, torch.ones(1, 20), 6)) == expected


@pytest.mark.parametrize("seed", range(5))
def test_merging_is_that_of_costs_computed_anew(draw, seed):
    means = draw(1, 12, 3, seed=seed)
    sizes = torch.randint(1, 40, (1, 12), generator=torch.Generator().manual_seed(seed)).float()
    assert groups_of(merge(means, sizes, 4)) == slow_merge(means[0], sizes[0], 4)


def test_every_image_of_a_batch_is_merged_by_itself(draw):
    means, sizes = draw(3, 12, 3), torch.ones(3, 12)
    alone = torch.cat([merge(one[None], sizes[:1], 5) for one in means])
    assert torch.equal(merge(means, sizes, 5), alone)


def test_empty_parts_never_count(draw):
    means, sizes = draw(1, 12, 3), torch.ones(1, 12)
    sizes[0, [0, 5, 11]] = 0
    full = [part for part in range(12) if part not in (0, 5, 11)]
    without = groups_of(merge(means[:, full], sizes[:, full], 4))
    expected = {tuple(full[part] for part in group) for group in without}
    merged = merge(means, sizes, 4)
    found = groups_of(merged)
    assert {tuple(part for part in group if part in full) for group in found} == expected
    assert torch.equal(merged.sum(dim=1), torch.ones(1, 12))


def test_fewer_full_parts_than_groups_stay_apart(draw):
    means, sizes = draw(1, 8, 3), torch.tensor([[3.0, 0, 0, 2, 0, 0, 0, 5]])
    merged = merge(means, sizes, 5)
    owners = merged[0, :, [0, 3, 7]].argmax(dim=0)
    assert len(set(owners.tolist())) == 3
    assert torch.equal(merged.sum(dim=1), torch.ones(1, 8))


def test_no_more_parts_than_groups_are_left_as_they_are(draw):
    merged = merge(draw(1, 3, 2), torch.ones(1, 3), 5)
    assert torch.equal(merged[0], torch.eye(5)[:, :3])


def test_groups_are_in_the_order_of_their_first_parts(draw):
    merged = merge(draw(1, 12, 3), torch.ones(1, 12), 4)
    firsts = merged[0].argmax(dim=1).tolist()
    assert firsts == sorted(firsts)


@pytest.mark.slow
def test_rounds_and_merging_are_exported(draw):
    class Both(torch.nn.Module):
        def forward(self, features):
            assignment = group_by_rounds(features, (6, 6), seeds=3, rounds=3)
            found = parts(features, assignment)
            return merge(found.means, found.sizes, 4) @ assignment

    program = torch.export.export(Both(), (draw(2, 36, 3),))
    other = draw(2, 36, 3, seed=1)
    assert torch.equal(program.module()(other), Both()(other))
