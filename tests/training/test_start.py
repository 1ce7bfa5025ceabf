from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from groupvit.model.config import StageConfig
from groupvit.training.start import fitted
from groupvit.weights import checkpoint


@pytest.fixture
def begun(tiny_config, build):
    """Makes the weights of the tiny model fit another architecture; gives all that matters."""

    def begin(image=None, **settings):
        start = build(tiny_config).state_dict()
        config = replace(tiny_config, image=replace(tiny_config.image, **(image or {})), **settings)
        fresh = build(config).state_dict()
        tensors, notes = fitted(fresh, start)
        checkpoint.fill(config, tensors, where="start")
        return start, fresh, tensors, notes

    return begin


def test_the_same_architecture_takes_every_tensor(begun):
    start, _, tensors, notes = begun()
    assert notes == []
    assert tensors.keys() == start.keys()
    assert all(tensors[name] is start[name] for name in start)


def test_parts_of_one_model_alone_begin_fresh_or_are_left_out(begun):
    _, fresh, tensors, notes = begun(multi_label=False, background_layer=True)
    assert notes == [
        "background_layer begins fresh, as the start has none",
        "multi_label_log_scale of the start is left out",
    ]
    assert tensors["background_layer.weight"] is fresh["background_layer.weight"]


def test_positions_are_stretched_to_another_image_size(begun, tiny_config):
    size, patch = tiny_config.image.image_size, tiny_config.image.patch_size
    start, _, tensors, notes = begun({"image_size": 2 * size})
    old, name = size // patch, "image_encoder.positions.weight"
    assert notes == [
        f"the positions are stretched from {old} x {old} to {2 * old} x {2 * old} patches"
    ]
    learned = start[name].reshape(1, old, old, -1).permute(0, 3, 1, 2)
    expected = F.interpolate(learned, (2 * old, 2 * old), mode="bicubic")
    assert torch.equal(tensors[name], expected.flatten(2).mT)


@pytest.mark.parametrize("more", [2, -1])
def test_group_tokens_of_the_start_are_taken_first(begun, tiny_config, more):
    first, *rest = tiny_config.image.stages
    old, new = first.num_group_tokens, first.num_group_tokens + more
    stages = (StageConfig(depth=first.depth, num_group_tokens=new, num_groups=new), *rest)
    start, fresh, tensors, notes = begun({"stages": stages})
    name, kept = "image_encoder.stages.0.group_token", min(old, new)
    assert torch.equal(tensors[name][:, :kept], start[name][:, :kept])
    assert torch.equal(tensors[name][:, kept:], fresh[name][:, kept:])
    fresh_rest = "; the rest begins fresh" if more > 0 else ""
    expected = f"stage 1 takes {kept} of the {old} group tokens of the start for its {new}"
    assert notes[0] == expected + fresh_rest
    mix = "image_encoder.stages.0.grouping.mix_groups.fc1.weight"
    assert torch.equal(tensors[mix][:, :kept], start[mix][:, :kept])
