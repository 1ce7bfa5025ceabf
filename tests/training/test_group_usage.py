import pytest
import torch

from groupvit.training.group_usage import group_usage, summary


def one_hot(winners, num_groups):
    """Each token given whole to the group named, "batch token" to "batch group token"."""
    return torch.nn.functional.one_hot(torch.tensor(winners), num_groups).float().mT


def test_even_shares_have_the_largest_entropy():
    found = group_usage([torch.full((2, 4, 9), 0.25), torch.full((2, 3, 4), 1 / 3)])
    torch.testing.assert_close(found.entropy, torch.ones(2))


def test_decided_tokens_have_no_entropy():
    found = group_usage([one_hot([[0, 1, 2, 0]], 3)])
    assert found.entropy.tolist() == [0.0]
    assert found.groups_used.tolist() == [3.0]
    assert found.largest.tolist() == [0.5]


def test_one_group_that_takes_everything_shows():
    found = group_usage([one_hot([[1] * 6] * 3, 4)])
    assert (found.groups_used.tolist(), found.largest.tolist()) == ([1.0], [1.0])


def test_numbers_are_means_over_images():
    found = group_usage([one_hot([[0, 0, 0, 0], [0, 1, 2, 3]], 4)])
    assert found.groups_used.tolist() == [2.5]
    assert found.largest.tolist() == [0.625]


def test_the_order_of_groups_tokens_and_images_is_no_matter(draw):
    shares = draw(5, 4, 7).softmax(dim=1)
    moved = shares.flip(0)[:, [2, 0, 3, 1]].flip(2)
    torch.testing.assert_close(group_usage([moved]), group_usage([shares]))


def test_stages_stand_beside_each_other(draw):
    shares = [draw(3, 6, 16).softmax(dim=1), draw(3, 2, 6).softmax(dim=1)]
    both, second = group_usage(shares), group_usage(shares[1:])
    assert [values[1] for values in both] == [values[0] for values in second]
    assert list(summary(both)) == [
        f"stage{number}/{name}"
        for name in ("groups_used", "entropy", "largest")
        for number in (1, 2)
    ]
    assert summary(both)["stage2/largest"] == pytest.approx(float(second.largest[0]))


def test_it_takes_no_part_in_the_gradient(draw):
    logits = draw(2, 3, 5).requires_grad_()
    assert not any(values.requires_grad for values in group_usage([logits.softmax(dim=1)]))


def test_a_single_group_and_no_group_at_all_have_numbers_too():
    assert group_usage([torch.ones(2, 1, 5)]).entropy.tolist() == [0.0]
    assert summary(group_usage([])) == {}


def test_bfloat16_shares_are_counted_exactly():
    shares = one_hot([[0] * 300 + [1] * 301], 2).bfloat16()
    assert group_usage([shares]).largest.item() == pytest.approx(301 / 601)
