import pytest
import torch
from torch.nn import functional as F

from groupvit.model.layers import (
    MLP,
    Block,
    CrossAttention,
    DropPath,
    PatchEmbedding,
    QuickGELU,
    SelfAttention,
    attend,
)


@pytest.fixture
def patches(enliven):
    return enliven(PatchEmbedding(8, 16), std=0.1)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("num_keys", [9, 5])
def test_both_ways_to_attend_agree_in_bfloat16(draw, causal, num_keys):
    query = draw(2, 3, 9 if not causal else num_keys, 8).bfloat16()
    key, value = (draw(2, 3, num_keys, 8, seed=seed).bfloat16() for seed in (1, 2))
    fused = attend(query, key, value, causal=causal)
    plain = attend(query.requires_grad_(), key, value, causal=causal)
    assert plain.grad_fn is not None
    torch.testing.assert_close(plain, fused, atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("causal", [False, True])
def test_both_ways_to_attend_have_the_same_gradients(draw, causal):
    inputs = [draw(2, 3, 7, 8, seed=seed) for seed in range(3)]
    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        leaves = [x.to(dtype, copy=True).requires_grad_() for x in inputs]
        attend(*leaves, causal=causal).float().square().sum().backward()
        gradients.append([leaf.grad.float() for leaf in leaves])
    for exact, rounded in zip(*gradients, strict=True):
        torch.testing.assert_close(rounded, exact, atol=0.06, rtol=0.06)


def test_attention_is_the_softmax_of_scaled_products(draw):
    query, key, value = (draw(1, 1, 4, 8, seed=seed) for seed in range(3))
    expected = (query @ key.mT / 8**0.5).softmax(dim=-1) @ value
    torch.testing.assert_close(attend(query, key, value), expected)


def test_self_attention_does_not_care_for_the_order_of_tokens(draw, enliven):
    attention, x = enliven(SelfAttention(16, 2), std=0.3), draw(2, 5, 16)
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(attention(x[:, order]), attention(x)[:, order])


def test_causal_self_attention_sees_nothing_later(draw, enliven):
    attention, x = enliven(SelfAttention(16, 2, causal=True), std=0.3), draw(2, 5, 16)
    later = torch.cat([x[:, :3], draw(2, 2, 16, seed=1)], dim=1)
    torch.testing.assert_close(attention(later)[:, :3], attention(x)[:, :3])
    assert not torch.allclose(attention(later)[:, 3:], attention(x)[:, 3:])


def test_cross_attention_keeps_the_number_of_groups(draw, enliven):
    attention = enliven(CrossAttention(16, 2), std=0.3)
    groups, tokens = draw(2, 3, 16), draw(2, 7, 16, seed=1)
    assert attention(groups, tokens).shape == (2, 3, 16)
    torch.testing.assert_close(attention(groups, tokens.flip(1)), attention(groups, tokens))


def test_quick_gelu_is_x_times_a_steep_sigmoid(draw):
    x = draw(50)
    torch.testing.assert_close(QuickGELU()(x), x / (1 + (-1.702 * x).exp()))


def test_an_mlp_may_change_the_width(draw):
    assert MLP(8, 32)(draw(2, 3, 8)).shape == (2, 3, 8)
    assert MLP(8, 32, 5)(draw(2, 3, 8)).shape == (2, 3, 5)


def test_drop_path_drops_whole_samples_and_scales_the_others():
    x = torch.ones(4000, 2, 3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        y = DropPath(0.25).train()(x)
    assert torch.equal(y, y[:, :1, :1].expand_as(y))
    torch.testing.assert_close(y.unique(), torch.tensor([0, 1 / 0.75]))
    assert y.mean().item() == pytest.approx(1, abs=0.03)


def test_drop_path_rests_outside_training_and_at_zero(draw):
    x = draw(5, 2, 3)
    assert DropPath(0.9).eval()(x) is x
    assert DropPath(0.0).train()(x) is x


def test_a_block_adds_to_what_came_in(draw):
    block, x = Block(16, 2, 4.0), draw(2, 5, 16)
    for out in (block.attn.proj, block.mlp.fc2):
        torch.nn.init.zeros_(out.weight)
        torch.nn.init.zeros_(out.bias)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(
    ("size", "grid"), [((32, 32), (4, 4)), ((37, 53), (5, 7)), ((1, 1), (1, 1)), ((8, 9), (1, 2))]
)
def test_patches_cover_images_of_any_size(patches, draw, size, grid):
    assert patches.grid(*size) == grid
    assert patches(draw(2, 3, *size)).shape == (2, grid[0] * grid[1], 16)


def test_an_image_of_whole_patches_is_only_cut(patches, draw):
    images = draw(2, 3, 16, 24)
    columns = F.unfold(images, kernel_size=8, stride=8).mT
    by_hand = patches.norm(columns @ patches.proj.weight.flatten(1).T + patches.proj.bias)
    torch.testing.assert_close(patches(images), by_hand, atol=1e-5, rtol=1e-5)


def test_an_image_that_ends_within_a_patch_is_continued_by_its_last_pixels(patches, draw):
    images = draw(1, 3, 13, 22)
    rows = torch.cat([images, images[:, :, -1:].expand(-1, -1, 3, -1)], dim=2)
    whole = torch.cat([rows, rows[..., -1:].expand(-1, -1, -1, 2)], dim=3)
    torch.testing.assert_close(patches(images), patches(whole))


@pytest.mark.parametrize("size", [(37, 53), (40, 53), (37, 56), (33, 33), (3, 5), (40, 56)])
@pytest.mark.parametrize("border", [(0, slice(None)), (-1, slice(None)), (..., 0), (..., -1)])
def test_no_border_is_lost(patches, draw, size, border):
    images = draw(1, 3, *size)
    changed = images.clone()
    changed[0, 0][border] += 1
    assert not torch.allclose(patches(changed), patches(images))


def test_patches_come_row_by_row(patches):
    images = torch.zeros(1, 3, 16, 24)
    images[..., 8:16, 16:24] = torch.arange(8.0)
    different = (patches(images) - patches(torch.zeros_like(images))).abs().sum(dim=-1)[0]
    assert different.nonzero().flatten().tolist() == [5]
