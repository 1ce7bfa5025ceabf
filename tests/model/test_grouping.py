import pytest
import torch
from torch.nn import functional as F

from groupvit.model import grouping
from groupvit.model.config import GroupingConfig
from groupvit.model.grouping import (
    COSINE_SCALE,
    Assignment,
    GroupingBlock,
    LookAtTokens,
    gumbel_like,
    harden,
    occupied,
)


@pytest.fixture
def given(draw):
    """Three groups and seven tokens of two images."""
    return draw(2, 3, 16), draw(2, 7, 16, seed=1)


@pytest.fixture
def assignment(enliven):
    def make(mode, seed=0):
        return enliven(Assignment(16, GroupingConfig(assignment=mode)), seed, std=0.5).eval()

    return make


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_every_token_is_shared_out_fully(assignment, given, mode):
    shares = assignment(mode)(*given).assignment
    assert shares.shape == (2, 3, 7)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(2, 7))


def test_a_hard_assignment_is_one_hot():
    soft = torch.tensor([[0.2, 0.5], [0.7, 0.1], [0.1, 0.4]])[None]
    expected = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])[None]
    assert torch.equal(harden(soft), expected)


def test_the_first_of_equal_shares_wins():
    assert torch.equal(harden(torch.full((1, 4, 2), 0.25))[0, 0], torch.ones(2))
    tied = torch.tensor([0.1, 0.45, 0.45])[None, :, None]
    assert torch.equal(harden(tied)[0, :, 0], torch.tensor([0.0, 1.0, 0.0]))


def test_hardening_keeps_the_gradient_of_the_shares(draw):
    weight = draw(2, 3, 7, seed=1)
    soft_logits = draw(2, 3, 7).requires_grad_()
    hard_logits = soft_logits.detach().clone().requires_grad_()
    (soft_logits.softmax(dim=1) * weight).sum().backward()
    (harden(hard_logits.softmax(dim=1)) * weight).sum().backward()
    assert torch.equal(hard_logits.grad, soft_logits.grad)


def test_hardening_with_gradient_gives_the_same_value(draw):
    soft = draw(2, 3, 7).softmax(dim=1)
    with_gradient = harden(soft.clone().requires_grad_())
    torch.testing.assert_close(with_gradient.detach(), harden(soft))
    assert torch.equal(with_gradient.detach() == 0, harden(soft) == 0)


@pytest.mark.parametrize(
    ("mode", "training", "drawn"),
    [("hard", True, True), ("hard", False, False), ("soft", True, False), ("soft", False, False)],
)
def test_noise_is_drawn_only_for_hard_assignments_in_training(
    assignment, given, monkeypatch, mode, training, drawn
):
    calls = []
    monkeypatch.setattr(grouping, "gumbel_like", lambda x: calls.append(1) or torch.zeros_like(x))
    assignment(mode).train(training)(*given)
    assert bool(calls) == drawn


def test_the_assignment_that_is_told_has_no_noise(assignment, given):
    assign = assignment("hard")
    quiet = assign(*given).assignment
    assert torch.equal(assign.train()(*given).assignment, quiet)
    torch.testing.assert_close(quiet, assign.logits(*given).softmax(dim=1))


def test_noise_moves_tokens_to_other_groups(assignment, given):
    assign = assignment("hard").train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first, second = assign(*given).segments, assign(*given).segments
    assert not torch.allclose(first, second)


def test_noise_has_the_moments_of_gumbel():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        noise = gumbel_like(torch.empty(200_000))
    assert noise.isfinite().all()
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.01)
    assert noise.var().item() == pytest.approx(torch.pi**2 / 6, rel=0.02)


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_a_group_averages_its_tokens_with_one_more_in_the_divisor(assignment, given, mode):
    assign = assignment(mode)
    segments, soft, _ = assign(*given)
    used = F.one_hot(soft.argmax(dim=1), 3).mT.float() if mode == "hard" else soft
    sums = used @ assign.value(given[1])
    expected = assign.proj(sums / (1 + used.sum(dim=2, keepdim=True)))
    torch.testing.assert_close(segments, expected)


def test_a_lone_token_is_halved_by_the_divisor(assignment, given):
    assign, (groups, tokens) = assignment("soft"), given
    one_group, one_token = groups[:, :1], tokens[:, :1]
    expected = assign.proj(assign.value(one_token) / 2)
    torch.testing.assert_close(assign(one_group, one_token).segments, expected)


def test_the_logits_are_scaled_by_the_whole_width(assignment, given):
    assign, (groups, tokens) = assignment("hard"), given
    expected = torch.einsum("bgd,btd->bgt", assign.query(groups), assign.key(tokens)) / 4
    torch.testing.assert_close(assign.logits(groups, tokens), expected)


def test_an_empty_group_stays_finite(assignment, given):
    assign, (groups, tokens) = assignment("hard"), given
    segments, soft, _ = assign(groups.requires_grad_(), tokens[:, :1])
    segments.square().sum().backward()
    assert harden(soft.detach()).sum(dim=2).min() == 0
    assert segments.isfinite().all()
    assert groups.grad.isfinite().all()


def test_an_empty_group_takes_only_the_bias(assignment, given):
    assign, (groups, tokens) = assignment("hard"), given
    segments, soft, _ = assign(groups, tokens[:, :1])
    empty = harden(soft).sum(dim=2) == 0
    torch.testing.assert_close(segments[empty], assign.proj.bias.expand_as(segments[empty]))


def test_logits_stay_float32_under_autocast(assignment, given):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, shares = assignment("hard").logits(*given), assignment("hard")(*given).assignment
    assert logits.dtype == shares.dtype == torch.float32
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(2, 7))


def test_groups_end_normalized_after_they_looked(given):
    seen = LookAtTokens(16, 2, 4.0)(*given)
    torch.testing.assert_close(seen.mean(dim=-1), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.var(dim=-1, correction=0), torch.ones(2, 3), atol=1e-2, rtol=0)


@pytest.mark.parametrize(("num_group_tokens", "num_groups"), [(3, 3), (3, 5), (5, 2), (1, 1)])
def test_a_block_makes_as_many_segments_as_groups(draw, enliven, num_group_tokens, num_groups):
    block = GroupingBlock(
        16,
        2,
        4.0,
        num_group_tokens=num_group_tokens,
        num_groups=num_groups,
        config=GroupingConfig(),
    )
    segments, shares, _ = enliven(block)(draw(2, 7, 16), draw(2, num_group_tokens, 16, seed=1))
    assert segments.shape == (2, num_groups, 16)
    assert shares.shape == (2, num_groups, 7)


def test_the_order_of_the_tokens_does_not_matter(draw, enliven):
    block = GroupingBlock(16, 2, 4.0, num_group_tokens=3, num_groups=3, config=GroupingConfig())
    enliven(block, std=0.3).eval()
    tokens, group_tokens = draw(2, 7, 16), draw(2, 3, 16, seed=1)
    segments, shares, _ = block(tokens, group_tokens)
    moved_segments, moved_shares, _ = block(tokens.flip(1), group_tokens)
    torch.testing.assert_close(moved_segments, segments, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(moved_shares.flip(2), shares, atol=1e-5, rtol=1e-5)


def ours(**changes):
    settings = {"similarity": "centered", "look": False, "residual": False, "mix": False}
    return GroupingConfig(**(settings | changes))


def block_of(config, num_groups=3):
    return GroupingBlock(
        16, 2, 4.0, num_group_tokens=num_groups, num_groups=num_groups, config=config
    )


@pytest.mark.parametrize("similarity", ["cosine", "centered"])
def test_no_cosine_exceeds_its_scale(enliven, given, similarity):
    assign = enliven(Assignment(16, GroupingConfig(similarity=similarity)), std=3.0)
    assert assign.logits(*given).abs().max() <= COSINE_SCALE + 1e-4


def test_a_cosine_does_not_grow_with_its_tokens(given):
    assign, (groups, tokens) = Assignment(16, GroupingConfig(similarity="cosine")), given
    torch.nn.init.zeros_(assign.key.bias)
    torch.testing.assert_close(assign.logits(groups, 5 * tokens), assign.logits(groups, tokens))


def test_centered_tokens_are_never_all_of_one_group(enliven, given):
    assign, (groups, tokens) = enliven(Assignment(16, ours()), std=0.5), given
    far = tokens + 100  # what all tokens have in common
    used = occupied([assign(groups, far).assignment]).sum(dim=1)
    assert (used > 1).all()


def test_what_all_tokens_share_moves_no_centered_assignment(enliven, given):
    assign, (groups, tokens) = enliven(Assignment(16, ours()), std=0.5), given
    moved = assign(groups, tokens + 3.0).assignment
    torch.testing.assert_close(moved, assign(groups, tokens).assignment, atol=1e-4, rtol=1e-4)


def test_an_absent_token_changes_no_segment(enliven, draw):
    block = enliven(block_of(ours(assignment="soft")), std=0.3).eval()
    tokens, group_tokens = draw(2, 7, 16), draw(2, 3, 16, seed=1)
    present = torch.tensor([[True] * 6 + [False]] * 2)
    changed = tokens.clone()
    changed[:, 6] = 9.0
    first, second = (block(x, group_tokens, present).segments for x in (tokens, changed))
    torch.testing.assert_close(first, second)


def test_a_segment_without_residual_knows_only_what_it_took(enliven, draw):
    block = enliven(block_of(ours()), std=0.3).eval()
    tokens, group_tokens = draw(1, 1, 16), draw(1, 3, 16, seed=1)
    segments, _, held = block(tokens, group_tokens)
    empty = segments[~held]
    assert held.sum() == 1
    torch.testing.assert_close(empty[0], empty[1])


def test_groups_without_tokens_are_not_occupied_even_if_a_later_stage_takes_them():
    first = torch.tensor([[0.9, 0.8], [0.1, 0.2], [0.0, 0.0]])[None]
    second = torch.tensor([[0.9, 0.2, 0.1], [0.1, 0.8, 0.9]])[None]
    assert occupied([first]).tolist() == [[True, False, False]]
    assert occupied([first, second]).tolist() == [[True, False]]


def test_without_noise_training_assigns_as_evaluation_does(enliven, given):
    assign = enliven(Assignment(16, GroupingConfig(noise=False)), std=0.5).train()
    torch.testing.assert_close(assign(*given).segments, assign.eval()(*given).segments)
