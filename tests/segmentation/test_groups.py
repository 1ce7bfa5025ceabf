from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from groupvit import GroupViT, Segmenter
from groupvit.model.config import StageConfig
from groupvit.segmentation.groups import bilinear
from groupvit.segmentation.protocol import GROUPVIT, OURS


@pytest.fixture
def grouped(lively_model, street):
    return Segmenter(lively_model).group([street(50, 90)])[0]


@pytest.fixture
def in_windows(lively_model, street):
    protocol = replace(GROUPVIT, short_side=32, window=32, stride=16)
    return Segmenter(lively_model, protocol=protocol).group([street(50, 90)])[0]


@pytest.mark.parametrize("stage", [0, 1])
def test_every_patch_is_shared_out_fully(grouped, stage):
    shares = grouped.windows[0].patch_assignment(stage)
    assert shares.shape == (12 if stage == 0 else 5, 8 * 14)
    assert torch.allclose(shares.sum(dim=0), torch.ones(shares.shape[1]), atol=1e-5)


def test_a_grouped_image_says_what_it_is(grouped):
    assert repr(grouped) == "GroupedImage(50x90, 1 window of 12 and 5 groups)"


def test_groups_are_counted_by_stage(grouped):
    assert (grouped.num_stages, grouped.num_groups(0), grouped.num_groups(1)) == (2, 12, 5)


def test_the_group_map_has_the_size_of_the_image(grouped):
    assert grouped.group_map(0).shape == grouped.group_map(1).shape == (50, 90)
    assert grouped.group_map(0).max() < 12
    assert len(np.unique(grouped.group_map(0))) > 1


def test_each_window_numbers_its_own_groups(in_windows):
    groups = in_windows.group_map(1)
    assert [box.left for box in (window.box for window in in_windows.windows)] == [0, 16, 26]
    assert set(np.unique(groups[:, :20] // 5)) == {0}
    assert set(np.unique(groups[:, -20:] // 5)) == {2}


def test_every_pixel_belongs_to_the_window_with_the_nearest_center(in_windows):
    owners = in_windows._owners()
    assert owners.shape == (50, 90)
    assert (owners.diff(dim=1) >= 0).all()
    assert owners.unique().tolist() == [0, 1, 2]


@pytest.mark.parametrize("naming", ["segments", "levels"])
def test_a_network_without_groups_has_each_patch_for_itself(lively_model, street, naming):
    image = replace(lively_model.config.image, stages=(StageConfig(depth=1),))
    model = GroupViT(replace(lively_model.config, image=image))
    protocol = replace(OURS, short_side=16, naming=naming)
    grouped = Segmenter(model, protocol=protocol).group([street(16, 24)])[0]
    assert grouped.num_stages == 1
    assert len(np.unique(grouped.group_map(0))) == 2 * 3
    assert torch.equal(grouped.windows[0].naming_embeddings, grouped.windows[0].segments)


def test_the_groups_can_be_looked_at(grouped):
    titles = [title for title, _ in grouped.panels()]
    assert titles[0] == "image"
    assert len(titles) == 3
    assert grouped.to_image().mode == "RGB"


@pytest.mark.parametrize(("length", "new_length"), [(3, 10), (7, 7), (5, 2), (1, 4)])
def test_sides_are_enlarged_as_torch_does(length, new_length):
    values = torch.rand(1, 2, length, 4, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(values, (new_length, 4), mode="bilinear", align_corners=False)
    assert torch.allclose(bilinear(length, new_length) @ values, expected, atol=1e-6)


def test_a_large_image_is_drawn_in_strips(grouped, monkeypatch):
    whole = grouped.group_map(0)
    monkeypatch.setattr("groupvit.segmentation.groups.AT_ONCE", 12 * 90 * 7)
    assert np.array_equal(grouped.group_map(0), whole)
