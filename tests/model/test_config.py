from dataclasses import replace

import pytest

from groupvit.config import from_values, to_values
from groupvit.errors import InputError
from groupvit.model.config import (
    ONE_STAGE,
    GroupViTConfig,
    ImageEncoderConfig,
    StageConfig,
    TextEncoderConfig,
)


def test_the_defaults_are_the_released_architecture():
    config = GroupViTConfig()
    stages = [(s.depth, s.num_group_tokens, s.num_groups) for s in config.image.stages]
    assert stages == [(6, 64, 64), (3, 8, 8), (3, 0, 0)]
    assert config.image.grid == 14


@pytest.mark.parametrize(
    ("depth", "num_group_tokens", "num_groups"),
    [(-1, 0, 0), (1, -2, -2), (1, 4, 0), (1, 0, 4)],
)
def test_a_stage_refuses_numbers_that_describe_none(depth, num_group_tokens, num_groups):
    with pytest.raises(ValueError, match=r"depth|num_group"):
        StageConfig(depth=depth, num_group_tokens=num_group_tokens, num_groups=num_groups)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_size", 0),
        ("image_size", 220),
        ("patch_size", 0),
        ("patch_size", -16),
        ("dim", 0),
        ("dim", -6),
        ("dim", 385),
        ("num_heads", 0),
        ("num_heads", 7),
        ("mlp_ratio", 0.0),
        ("mlp_ratio", float("inf")),
        ("mlp_ratio", float("nan")),
        ("drop_path", -0.1),
        ("drop_path", 1.0),
        ("drop_path", float("nan")),
        ("stages", ()),
        ("stages", (StageConfig(depth=1, num_group_tokens=4, num_groups=4),)),
        ("stages", (StageConfig(depth=1), StageConfig(depth=1))),
    ],
)
def test_an_image_encoder_refuses_nonsense_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name}|dim .* heads|every stage"):
        ImageEncoderConfig(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vocabulary_size", 0),
        ("context_length", 0),
        ("dim", 0),
        ("dim", 255),
        ("depth", 0),
        ("num_heads", 0),
        ("num_heads", 3),
        ("mlp_ratio", -1.0),
    ],
)
def test_a_text_encoder_refuses_nonsense(name, value):
    with pytest.raises(ValueError, match=f"{name}|dim .* heads"):
        TextEncoderConfig(**{name: value})


@pytest.mark.parametrize("name", ["embedding_dim", "projector_dim"])
def test_the_shared_space_has_a_width(name):
    with pytest.raises(ValueError, match=name):
        GroupViTConfig(**{name: 0})


def test_settings_written_and_read_are_the_same(tiny_config):
    one_stage = replace(tiny_config, image=ImageEncoderConfig(stages=ONE_STAGE))
    for config in (GroupViTConfig(), tiny_config, one_stage):
        assert from_values(GroupViTConfig, to_values(config), where="here") == config


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([], "here is"),
        ({"color": 1}, "unknown setting color"),
        ({"image": None}, "image is None"),
        ({"image": {"color": 1}}, "here: image: unknown setting color"),
        ({"image": {"dim": 6.0}}, "dim is 6.0, which is not int"),
        ({"image": {"dim": True}}, "dim is True"),
        ({"image": {"drop_path": "0"}}, "drop_path is '0', which is not float"),
        ({"image": {"grouping": "firm"}}, "'firm', which is not 'hard' or 'soft'"),
        ({"image": {"stages": 5}}, "stages is 5, which is not a list"),
        ({"image": {"stages": "abc"}}, "stages is 'abc', which is not a list"),
        ({"image": {"stages": [5]}}, r"stages\[0\] is 5"),
        ({"image": {"stages": [{}]}}, r"stages\[0\].*depth"),
        ({"image": {"num_heads": 0}}, "num_heads is 0"),
        ({"image": {"dim": 100}}, "dim 100 cannot be shared by 6 heads"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_place_and_value(values, says):
    with pytest.raises(InputError, match=says):
        from_values(GroupViTConfig, values, where="here")
