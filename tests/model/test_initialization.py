import math

import pytest
import torch

from groupvit.model.config import (
    GroupViTConfig,
    ImageEncoderConfig,
    StageConfig,
    TextEncoderConfig,
)

STAGES = (
    StageConfig(depth=1, num_group_tokens=64, num_groups=64),
    StageConfig(depth=1, num_group_tokens=8, num_groups=8),
    StageConfig(depth=1),
)
DEPTH, DIM = 2, 256


@pytest.fixture(scope="module")
def values(build):
    """The values of a fresh model of the released widths, but with fewer blocks."""
    model = build(
        GroupViTConfig(
            image=ImageEncoderConfig(stages=STAGES), text=TextEncoderConfig(depth=DEPTH, dim=DIM)
        )
    )
    return model.state_dict()


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("image_encoder.positions.weight", 0.02),
        ("image_encoder.stages.0.group_token", 0.02),
        ("image_encoder.stages.0.blocks.0.attn.qkv.weight", 0.02),
        ("image_encoder.stages.0.blocks.0.mlp.fc2.weight", 0.02),
        ("image_encoder.stages.0.grouping.mix_groups.fc1.weight", 0.02),
        ("image_encoder.stages.0.grouping.cross_attn.attn.query.weight", 0.02),
        ("image_encoder.stages.0.grouping.assign.key.weight", 0.02),
        ("image_encoder.stages.1.group_projector.1.mlp.fc1.weight", 0.02),
        ("image_encoder.patches.proj.weight", (3 * 768) ** -0.5),
        ("text_encoder.tokens.weight", 0.02),
        ("text_encoder.positions", 0.01),
        ("text_encoder.blocks.1.attn.qkv.weight", DIM**-0.5),
        ("text_encoder.blocks.1.attn.proj.weight", (2 * DEPTH * DIM) ** -0.5),
        ("text_encoder.blocks.1.mlp.fc1.weight", (2 * DIM) ** -0.5),
        ("text_encoder.blocks.1.mlp.fc2.weight", (2 * DEPTH * DIM) ** -0.5),
        ("image_projector.fc1.weight", (3 * 384) ** -0.5),
        ("text_projector.fc2.weight", (3 * 4096) ** -0.5),
    ],
)
def test_parameters_begin_with_the_deviation_of_the_original(values, name, deviation):
    assert values[name].std().item() == pytest.approx(deviation, rel=0.03)
    assert abs(values[name].mean().item()) < 0.05 * deviation


def test_group_tokens_that_a_projector_adds_to_begin_at_zero(values):
    assert values["image_encoder.stages.1.group_token"].count_nonzero() == 0


def test_biases_begin_at_zero_where_the_original_has_them_so(values):
    zero = [
        name
        for name in values
        if name.endswith("bias")
        and (name.startswith("image_encoder.stages") or ".attn." in name or "norm" in name)
    ]
    assert len(zero) > 40
    assert all(values[name].count_nonzero() == 0 for name in zero)


@pytest.mark.parametrize("name", ["text_encoder.blocks.0.mlp.fc1.bias", "image_projector.fc1.bias"])
def test_other_biases_begin_as_torch_has_them(values, name):
    width = values[name.replace("bias", "weight")].shape[1]
    assert values[name].abs().max() <= width**-0.5
    assert values[name].std().item() == pytest.approx((3 * width) ** -0.5, rel=0.1)


def test_norms_begin_as_identity(values):
    scales = [value for name, value in values.items() if "norm" in name and "weight" in name]
    assert all(torch.equal(scale, torch.ones_like(scale)) for scale in scales)


@pytest.mark.parametrize("name", ["log_scale", "multi_label_log_scale"])
def test_temperatures_begin_at_seven_hundredths(values, name):
    assert values[name].item() == pytest.approx(math.log(1 / 0.07))


def test_equal_seeds_draw_equal_weights(tiny_config, build):
    first, second, third = (build(tiny_config, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    differ = [name for name in first if not torch.equal(first[name], third[name])]
    assert "image_encoder.stages.0.blocks.0.attn.qkv.weight" in differ
    assert "text_encoder.tokens.weight" in differ
