import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random

import pytest
import torch
from einops import rearrange
from torch.nn import functional as F

from groupvit.model.config import ONE_STAGE, ImageEncoderConfig, StageConfig
from groupvit.model.image_encoder import (
    AcrossTokens,
    GroupingStage,
    ImageEncoder,
    NoPositions,
    PositionEmbedding,
)
from groupvit.model.layers import MLP, DropPath

GROUPLESS = (StageConfig(depth=2),)
UNEQUAL = (
    StageConfig(depth=1, num_group_tokens=6, num_groups=5),
    StageConfig(depth=1, num_group_tokens=4, num_groups=2),
    StageConfig(depth=1),
)
THREE_GROUPINGS = (
    StageConfig(depth=1, num_group_tokens=6, num_groups=6),
    StageConfig(depth=1, num_group_tokens=4, num_groups=4),
    StageConfig(depth=1, num_group_tokens=2, num_groups=2),
    StageConfig(depth=1),
)


@pytest.fixture
def positions(enliven):
    return enliven(PositionEmbedding(4, 8), std=1.0)


@pytest.fixture
def encoder(tiny_config, enliven):
    """Makes a lively tiny encoder with other settings."""

    def make(**changes):
        return enliven(ImageEncoder(replace(tiny_config.image, **changes)), std=0.1).eval()

    return make


def stretched(positions, height, width):
    learned = rearrange(positions.weight, "1 (height width) dim -> 1 dim height width", height=4)
    grid = F.interpolate(learned, (height, width), mode="bicubic", align_corners=False)
    return grid.flatten(2).mT


def test_the_grid_of_training_has_the_learned_positions_themselves(positions):
    assert positions.vectors(4, 4) is positions.weight


@pytest.mark.parametrize("grid", [(5, 7), (2, 8), (8, 2), (1, 1), (16, 1)])
def test_another_grid_is_stretched_bicubically(positions, grid):
    with torch.no_grad():
        torch.testing.assert_close(positions.vectors(*grid), stretched(positions, *grid))


def test_a_grid_is_stretched_once(positions):
    with torch.no_grad():
        assert positions.vectors(5, 7) is positions.vectors(5, 7)
        assert positions.vectors(5, 7) is not positions.vectors(7, 5)


def test_a_weight_changed_in_place_is_stretched_anew(positions):
    with torch.no_grad():
        before = positions.vectors(5, 7)
        positions.weight.mul_(2)
        torch.testing.assert_close(positions.vectors(5, 7), 2 * before)


@pytest.mark.parametrize("assign", [False, True])
def test_weights_that_are_loaded_are_stretched_anew(positions, draw, assign):
    with torch.no_grad():
        for seed in range(3):
            positions.load_state_dict({"weight": draw(1, 16, 8, seed=seed)}, assign=assign)
            torch.testing.assert_close(positions.vectors(5, 7), stretched(positions, 5, 7))


def test_the_address_of_a_remembered_weight_is_not_given_to_another(positions, draw):
    with torch.no_grad():
        positions.vectors(5, 7)
        address = positions.weight.data_ptr()
        for seed in range(20):
            positions.load_state_dict({"weight": draw(1, 16, 8, seed=seed)}, assign=True)
            assert positions.weight.data_ptr() != address


def test_a_step_of_an_optimizer_is_seen(positions):
    optimizer = torch.optim.AdamW(positions.parameters(), lr=0.1)
    with torch.no_grad():
        before = positions.vectors(5, 7)
    positions.vectors(5, 7).square().sum().backward()
    optimizer.step()
    with torch.no_grad():
        assert not torch.allclose(positions.vectors(5, 7), before)
        torch.testing.assert_close(positions.vectors(5, 7), stretched(positions, 5, 7))


def test_a_model_in_another_precision_is_stretched_anew(positions):
    with torch.no_grad():
        positions.vectors(5, 7)
        assert positions.to(torch.bfloat16).vectors(5, 7).dtype == torch.bfloat16


def test_only_so_many_grids_are_remembered(positions):
    with torch.no_grad():
        for width in range(5, 5 + 2 * positions.MAX_CACHED):
            positions.vectors(5, width)
    assert len(positions._stretched) == positions.MAX_CACHED == 16


def test_nothing_remembered_is_used_where_gradients_are_wanted(positions):
    with torch.no_grad():
        remembered = positions.vectors(5, 7)
    fresh = positions.vectors(5, 7)
    assert fresh is not remembered
    fresh.sum().backward()
    assert positions.weight.grad.abs().sum() > 0


def test_what_was_remembered_in_inference_mode_serves_elsewhere(positions):
    with torch.inference_mode():
        remembered = positions.vectors(5, 7)
    with torch.no_grad():
        torch.testing.assert_close(positions.vectors(5, 7) * 1, remembered.clone())


def test_a_model_made_in_inference_mode_works(draw):
    with torch.inference_mode():
        positions = PositionEmbedding(4, 8)
        positions.load_state_dict({"weight": draw(1, 16, 8)}, assign=True)
        torch.testing.assert_close(positions.vectors(5, 7), stretched(positions, 5, 7))


def test_a_copy_remembers_nothing(positions):
    with torch.no_grad():
        positions.vectors(5, 7)
    assert copy.deepcopy(positions)._stretched == {}
    assert positions._stretched


def test_mixing_across_tokens_treats_channels_alike(draw):
    mix = AcrossTokens(MLP(5, 9, 3))
    x = draw(2, 5, 8)
    assert mix(x).shape == (2, 3, 8)
    torch.testing.assert_close(mix(x.flip(2)), mix(x).flip(2))


def test_drop_path_grows_linearly_over_all_blocks():
    encoder = ImageEncoder(
        ImageEncoderConfig(dim=8, num_heads=1, image_size=32, drop_path=0.1, stages=THREE_GROUPINGS)
    )
    rates = [m.probability for m in encoder.modules() if isinstance(m, DropPath)]
    assert rates == pytest.approx([0, 0.1 / 3, 0.2 / 3, 0.1])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"grouping": "soft"},
        {"stages": ONE_STAGE},
        {"stages": GROUPLESS},
        {"stages": UNEQUAL},
        {"stages": THREE_GROUPINGS},
    ],
    ids=["released", "soft", "one stage", "no grouping", "unequal", "three groupings"],
)
def test_every_architecture_groups_and_learns(encoder, draw, changes):
    model = encoder(drop_path=0.0, **changes).train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        features = model(draw(2, 3, 32, 32))
    segments = features.segments[-1]
    (segments.square().sum() + (segments * draw(*segments.shape, seed=1)).sum()).backward()
    groupings = [stage for stage in model.stages if isinstance(stage, GroupingStage)]
    assert len(features.assignments) == len(groupings)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.ndim < 2 or parameter.grad.abs().sum() > 0, name


def test_each_assignment_hands_its_segments_to_the_next(encoder, draw):
    _, (first, segments), assignments, _ = encoder(stages=UNEQUAL)(draw(2, 3, 32, 32))
    assert first.shape == (2, 5, 32)
    assert [tuple(a.shape) for a in assignments] == [(2, 5, 16), (2, 2, 5)]
    assert segments.shape == (2, 2, 32)
    for shares in assignments:
        torch.testing.assert_close(shares.sum(dim=1), torch.ones(2, shares.shape[2]))


def test_without_grouping_the_segments_are_the_tokens(encoder, draw):
    model = encoder(stages=GROUPLESS)
    patches, (segments,), assignments, occupied = model(draw(2, 3, 40, 32))
    assert segments.shape == (2, 20, 32)
    assert assignments == occupied == ()
    torch.testing.assert_close(segments, model.norm(patches))


@pytest.mark.parametrize("size", [(37, 53), (32, 32), (9, 70)])
def test_images_of_any_size_are_grouped_whole(encoder, draw, size):
    model = encoder(grouping="soft")
    images = draw(1, 3, *size)
    rows, columns = model.grid(*size)
    with torch.no_grad():
        _, (*_, segments), assignments, _ = model(images)
        assert assignments[0].shape == (1, 6, rows * columns)
        for border in ((..., -1, slice(None)), (..., -1)):
            changed = images.clone()
            changed[border] += 3
            assert (model(changed).segments[-1] - segments).abs().max() > 1e-5


def test_images_of_a_batch_do_not_see_each_other(encoder, draw):
    model = encoder(grouping="soft")
    images = draw(3, 3, 32, 32)
    together = model(images)
    alone = model(images[1:2])
    torch.testing.assert_close(together.segments[-1][1:2], alone.segments[-1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together.assignments[0][1:2], alone.assignments[0])


def ours(encoder, **changes):
    return encoder(stem="convolutions", positions=False, grouping="soft", **changes)


@pytest.mark.parametrize("size", [(32, 32), (40, 33), (64, 16)])
def test_a_convolutional_stem_makes_a_token_of_every_patch(encoder, draw, size):
    model = ours(encoder)
    tokens = model(draw(2, 3, *size)).patches
    rows, columns = model.grid(*size)
    assert tokens.shape == (2, rows * columns, model.config.dim)


def test_a_convolutional_stem_sees_a_little_beyond_its_patch(encoder, draw):
    stem = ours(encoder).eval().patches
    image = draw(1, 3, 128, 128).requires_grad_()
    stem(image)[0, 0].sum().backward()
    seen = image.grad[0].abs().sum(dim=0) > 0
    reach = int(seen.any(dim=0).nonzero().max()) + 1
    assert stem.patch_size < reach < 128


def test_without_positions_a_token_does_not_know_its_place(encoder):
    model = ours(encoder).eval()
    assert isinstance(model.positions, NoPositions)
    tokens = model(torch.ones(1, 3, 128, 128)).patches[0]
    side = model.grid(128, 128)[0]
    middle = tokens.view(side, side, -1)[3:-3, 3:-3].flatten(0, 1)
    torch.testing.assert_close(middle, middle[:1].expand_as(middle), atol=1e-3, rtol=1e-2)


def test_there_are_segments_of_every_stage_that_groups(encoder, draw):
    features = encoder()(draw(2, 3, 32, 32))
    groups = [assignment.shape[1] for assignment in features.assignments]
    assert [segments.shape[1] for segments in features.segments] == groups
    assert [occupied.shape[1] for occupied in features.occupied] == groups


def test_a_last_stage_without_blocks_leaves_the_segments(encoder, draw):
    stages = (StageConfig(depth=1, num_group_tokens=4, num_groups=4), StageConfig(depth=0))
    model = encoder(stages=stages).eval()
    assert model(draw(2, 3, 32, 32)).segments[-1].shape[1] == 4


def test_threads_share_the_memory_of_grids(positions):
    grids = [(height, width) for height in range(5, 10) for width in range(5, 13)]

    def stretch(seed):
        for grid in Random(seed).sample(grids, len(grids)):
            with torch.no_grad():
                torch.testing.assert_close(positions.vectors(*grid), stretched(positions, *grid))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(stretch, range(16)))
    assert len(positions._stretched) <= positions.MAX_CACHED
