import pytest
import torch
from torch.nn import functional as F

from groupvit.model import grouping
from groupvit.model.grouping import (
    GroupAttention,
    HardGrouping,
    Projections,
    SoftGrouping,
    center,
    gumbel_like,
    harden,
    occupied_by_stage,
)


@pytest.fixture
def given(draw):
    """Seven tokens and three group tokens of two images."""
    return draw(2, 7, 16, seed=1), draw(2, 3, 16)


@pytest.fixture
def block(enliven):
    """Makes a block with values large enough for clear choices."""

    def make(kind, seed=0, std=0.5):
        made = {
            "hard": lambda: HardGrouping(16, 2, 4.0, num_group_tokens=3, num_groups=3),
            "soft": lambda: SoftGrouping(16, 4.0),
        }[kind]()
        return enliven(made, seed, std=std).eval()

    return make


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_every_token_is_shared_out_fully(block, given, kind):
    shares = block(kind)(*given).assignment
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
    ("kind", "training", "drawn"),
    [("hard", True, True), ("hard", False, False), ("soft", True, False), ("soft", False, False)],
)
def test_noise_is_drawn_only_for_hard_assignments_in_training(
    block, given, monkeypatch, kind, training, drawn
):
    calls = []
    monkeypatch.setattr(grouping, "gumbel_like", lambda x: calls.append(1) or torch.zeros_like(x))
    block(kind).train(training)(*given)
    assert bool(calls) == drawn


def test_the_returned_assignment_has_no_noise(block, given):
    hard = block("hard")
    quiet = hard(*given).assignment
    assert torch.equal(hard.train()(*given).assignment, quiet)


def test_noise_moves_tokens_to_other_groups(block, given):
    hard = block("hard").train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first, second = hard(*given).segments, hard(*given).segments
    assert not torch.allclose(first, second)


def test_noise_has_the_moments_of_gumbel():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        noise = gumbel_like(torch.empty(200_000))
    assert noise.isfinite().all()
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.01)
    assert noise.var().item() == pytest.approx(torch.pi**2 / 6, rel=0.02)


def test_a_group_averages_its_tokens_with_one_more_in_the_divisor(enliven, draw):
    maps, tokens = enliven(Projections(16), std=0.5), draw(2, 7, 16)
    shares = draw(2, 3, 7, seed=1).softmax(dim=1)
    held = shares.sum(dim=2, keepdim=True)
    expected = maps.proj(shares @ maps.value(tokens) / (1 + held))
    torch.testing.assert_close(maps.average(shares, held, tokens), expected)


def test_hard_segments_are_the_groups_plus_the_average_of_their_tokens(block, given):
    hard, (tokens, group_tokens) = block("hard"), given
    segments, soft, present = hard(tokens, group_tokens)
    normal = hard.norm_tokens(tokens)
    groups = hard.norm_mixed(hard.mix_groups(hard.norm_groups(group_tokens).mT).mT)
    groups = hard.cross_attn(groups, normal)
    chosen = F.one_hot(soft.argmax(dim=1), 3).mT.float()
    taken = hard.assign.average(chosen, chosen.sum(dim=2, keepdim=True), normal)
    expected = groups + taken
    expected = expected + hard.mlp(hard.norm_segments(expected))
    torch.testing.assert_close(segments, expected)
    assert present is None


def test_soft_segments_are_the_average_of_their_tokens_alone(block, given):
    soft, (tokens, group_tokens) = block("soft"), given
    segments, shares, _ = soft(tokens, group_tokens)
    normal = soft.norm_tokens(tokens)
    expected = soft.assign.average(shares, shares.sum(dim=2, keepdim=True), normal)
    expected = expected + soft.mlp(soft.norm_segments(expected))
    torch.testing.assert_close(segments, expected)


def test_a_lone_token_is_halved_by_the_divisor(enliven, draw):
    maps, token = enliven(Projections(16), std=0.5), draw(2, 1, 16)
    whole = torch.ones(2, 1, 1)
    torch.testing.assert_close(maps.average(whole, whole, token), maps.proj(maps.value(token) / 2))


def test_dot_products_are_scaled_by_the_whole_width(block, given):
    hard, (tokens, groups) = block("hard"), given
    query, key = hard.assign.query(groups), hard.assign.key(tokens)
    expected = (torch.einsum("bgd,btd->bgt", query, key) / 4).softmax(dim=1)
    torch.testing.assert_close(hard.choose(groups, tokens)[0], expected)


def test_an_empty_group_stays_finite(block, given):
    hard, (tokens, group_tokens) = block("hard"), given
    segments, soft, _ = hard(tokens[:, :1], group_tokens.requires_grad_())
    segments.square().sum().backward()
    assert harden(soft.detach()).sum(dim=2).min() == 0
    assert segments.isfinite().all()
    assert group_tokens.grad.isfinite().all()


def test_an_empty_group_takes_only_the_bias(enliven, draw):
    maps, nothing = enliven(Projections(16), std=0.5), torch.zeros(2, 3, 7)
    averaged = maps.average(nothing, nothing.sum(dim=2, keepdim=True), draw(2, 7, 16))
    torch.testing.assert_close(averaged, maps.proj.bias.expand(2, 3, 16))


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_assignments_stay_float32_under_autocast(block, given, kind):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        shares = block(kind)(*given).assignment
    assert shares.dtype == torch.float32
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(2, 7))


def test_groups_are_normalized_after_attention(given):
    tokens, groups = given
    seen = GroupAttention(16, 2, 4.0)(groups, tokens)
    torch.testing.assert_close(seen.mean(dim=-1), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.var(dim=-1, correction=0), torch.ones(2, 3), atol=1e-2, rtol=0)


@pytest.mark.parametrize(("num_group_tokens", "num_groups"), [(3, 3), (3, 5), (5, 2), (1, 1)])
def test_a_block_makes_as_many_segments_as_groups(draw, enliven, num_group_tokens, num_groups):
    made = HardGrouping(16, 2, 4.0, num_group_tokens=num_group_tokens, num_groups=num_groups)
    segments, shares, _ = enliven(made)(draw(2, 7, 16), draw(2, num_group_tokens, 16, seed=1))
    assert segments.shape == (2, num_groups, 16)
    assert shares.shape == (2, num_groups, 7)


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_the_order_of_the_tokens_does_not_matter(block, given, kind):
    made, (tokens, group_tokens) = block(kind, std=0.3), given
    segments, shares, _ = made(tokens, group_tokens)
    moved_segments, moved_shares, _ = made(tokens.flip(1), group_tokens)
    torch.testing.assert_close(moved_segments, segments, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(moved_shares.flip(2), shares, atol=1e-5, rtol=1e-5)


def test_no_cosine_exceeds_its_scale(block, given):
    soft, (tokens, groups) = block("soft", std=3.0), given
    assert soft.logits(groups, tokens, None).abs().max() <= soft.cosine_scale + 1e-4


def test_a_cosine_does_not_grow_with_its_tokens(block, given):
    soft, (tokens, groups) = block("soft"), given
    torch.nn.init.zeros_(soft.assign.key.bias)
    logits, larger = (soft.logits(groups, x, None) for x in (tokens, 5 * tokens))
    torch.testing.assert_close(larger, logits)


def test_centered_tokens_are_never_all_of_one_group(block, given):
    soft, (tokens, groups) = block("soft"), given
    far = tokens + 100  # what all tokens have in common
    [occupied] = occupied_by_stage([soft.logits(groups, far, None).softmax(dim=1)])
    assert (occupied.sum(dim=1) > 1).all()


def test_what_all_tokens_share_moves_no_centered_assignment(block, given):
    soft, (tokens, groups) = block("soft"), given
    moved = soft.logits(groups, tokens + 3.0, None)
    torch.testing.assert_close(moved, soft.logits(groups, tokens, None), atol=1e-3, rtol=1e-4)


def test_the_mean_is_that_of_the_tokens_that_are_present(draw):
    x = draw(2, 4, 8)
    present = torch.tensor([[True, True, True, False]] * 2)
    torch.testing.assert_close(center(x, present), x - x[:, :3].mean(dim=1, keepdim=True))
    torch.testing.assert_close(center(x, None), x - x.mean(dim=1, keepdim=True))


def test_an_absent_token_changes_no_segment(block, given):
    soft, (tokens, group_tokens) = block("soft", std=0.3), given
    present = torch.tensor([[True] * 6 + [False]] * 2)
    changed = tokens.clone()
    changed[:, 6] = 9.0
    first, second = (soft(x, group_tokens, present).segments for x in (tokens, changed))
    torch.testing.assert_close(first, second)


def test_a_soft_segment_knows_only_what_it_took(block, given, monkeypatch):
    soft, (tokens, group_tokens) = block("soft", std=0.3), given
    logits = torch.zeros(2, 3, 7)
    logits[:, 0] = 1e9
    monkeypatch.setattr(soft, "logits", lambda *_: logits)
    segments, _, present = soft(tokens, group_tokens)
    assert present.tolist() == [[True, False, False]] * 2
    torch.testing.assert_close(segments[:, 1], segments[:, 2])


def test_groups_without_tokens_are_not_occupied_even_if_a_later_stage_takes_them():
    first = torch.tensor([[0.9, 0.8], [0.1, 0.2], [0.0, 0.0]])[None]
    second = torch.tensor([[0.9, 0.2, 0.1], [0.1, 0.8, 0.9]])[None]
    occupied = occupied_by_stage([first, second])
    assert [stage.tolist() for stage in occupied] == [[[True, False, False]], [[True, False]]]
    assert occupied_by_stage([]) == ()


def test_without_noise_training_assigns_as_evaluation_does(block, given, monkeypatch):
    monkeypatch.setattr(grouping, "gumbel_like", torch.zeros_like)
    hard = block("hard").train()
    torch.testing.assert_close(hard(*given).segments, hard.eval()(*given).segments)
