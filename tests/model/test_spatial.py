from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from groupvit.model.config import SpatialConfig
from groupvit.model.spatial import SpatialBlock, regularized

EVERY = [
    SpatialConfig(kind=kind, depth=depth, activation=activation)
    for kind in ("depthwise", "bottleneck")
    for depth, activation in ((1, "relu"), (2, "relu"), (3, "leaky_relu"), (2, "tanh"))
]


@pytest.fixture
def weight(draw):
    return draw(10, seed=1) / 3


def slow(maps, weight, config):
    """The block, one value after the other."""
    for repetition in range(config.depth):
        after = torch.empty_like(maps)
        for image, label, row, column in torch.cartesian_prod(*map(torch.arange, maps.shape)):
            total = weight[9].clone()
            for place in range(9):
                y, x = row + place // 3 - 1, column + place % 3 - 1
                if 0 <= y < maps.shape[2] and 0 <= x < maps.shape[3]:
                    total += weight[place] * maps[image, label, y, x]
            if config.kind == "bottleneck":
                total += max(maps[image, other, row, column] for other in range(maps.shape[1]))
            if repetition < config.depth - 1:
                total = {
                    "relu": lambda x: max(x, 0 * x),
                    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
                    "tanh": torch.tanh,
                }[config.activation](total)
            after[image, label, row, column] = total
        maps = after
    return maps


@pytest.mark.parametrize("config", EVERY, ids=str)
def test_the_block_equals_a_slow_reference(draw, weight, config):
    maps = draw(2, 3, 3, 4)
    torch.testing.assert_close(regularized(maps, weight, config), slow(maps, weight, config))


@pytest.mark.parametrize("config", EVERY, ids=str)
def test_the_order_of_labels_changes_nothing(draw, weight, config):
    maps, order = draw(2, 5, 4, 6), torch.tensor([3, 0, 4, 1, 2])
    before = regularized(maps, weight, config)
    torch.testing.assert_close(regularized(maps[:, order], weight, config), before[:, order])


@pytest.mark.parametrize("config", EVERY, ids=str)
def test_more_labels_change_the_others_by_their_maximum_alone(draw, weight, config):
    maps = draw(1, 3, 4, 6)
    low = maps.amin(dim=1, keepdim=True) - 1  # never the maximum
    added = regularized(torch.cat([maps, low, low], dim=1), weight, config)
    alone = regularized(maps, weight, config)
    if config.kind == "depthwise" or config.depth == 1:
        torch.testing.assert_close(added[:, :3], alone)
    else:
        torch.testing.assert_close(added[:, 3], added[:, 4])


def test_a_new_block_leaves_the_order_of_labels_at_every_place(draw):
    maps = draw(2, 5, 4, 6)
    torch.testing.assert_close(SpatialBlock(SpatialConfig(kind="depthwise"))(maps), maps)
    both = SpatialBlock(SpatialConfig(kind="bottleneck"))(maps)
    torch.testing.assert_close(F.softmax(both, dim=1), F.softmax(maps, dim=1))


@pytest.mark.parametrize("depth", [0, 9])
def test_a_depth_out_of_range_is_refused(depth):
    with pytest.raises(ValueError, match="depth is"):
        replace(SpatialConfig(), depth=depth)
