from dataclasses import replace

import pytest
import torch

from groupvit.errors import InputError
from groupvit.model.config import (
    ONE_STAGE,
    GroupViTConfig,
    ImageEncoderConfig,
    StageConfig,
    TextEncoderConfig,
)
from groupvit.weights.architecture import blank, infer, with_heads

UNEQUAL = (
    StageConfig(depth=1, num_group_tokens=6, num_groups=5),
    StageConfig(depth=3, num_group_tokens=4, num_groups=2),
    StageConfig(depth=2),
)


@pytest.mark.parametrize(
    "config",
    [
        GroupViTConfig(),
        GroupViTConfig(multi_label=False),
        GroupViTConfig(image=ImageEncoderConfig(stages=ONE_STAGE)),
        GroupViTConfig(image=ImageEncoderConfig(stages=UNEQUAL, patch_size=32, mlp_ratio=2.5)),
        GroupViTConfig(image=ImageEncoderConfig(stages=(StageConfig(depth=2),))),
        GroupViTConfig(text=TextEncoderConfig(dim=512, num_heads=8, depth=2, context_length=20)),
        GroupViTConfig(embedding_dim=32, projector_dim=64),
    ],
    ids=["released", "one loss", "one stage", "unequal", "no grouping", "text", "space"],
)
def test_the_shapes_show_the_architecture(config):
    assert infer(blank(config).state_dict()) == config


def test_the_shapes_do_not_show_the_heads(tiny_config):
    inferred = infer(blank(tiny_config).state_dict())
    assert (inferred.image.num_heads, inferred.text.num_heads) == (1, 1)
    assert with_heads(inferred, image=2, text=2) == tiny_config


@pytest.mark.parametrize(("dim", "num_heads"), [(64, 1), (128, 2), (384, 6), (200, 1), (32, 1)])
def test_heads_are_taken_to_be_64_wide(dim, num_heads):
    image = ImageEncoderConfig(dim=dim, num_heads=1, stages=UNEQUAL)
    text = TextEncoderConfig(dim=dim, num_heads=1, depth=1)
    inferred = infer(blank(GroupViTConfig(image=image, text=text)).state_dict())
    assert (inferred.image.num_heads, inferred.text.num_heads) == (num_heads, num_heads)


def test_drop_path_leaves_no_trace():
    image = ImageEncoderConfig(drop_path=0.4)
    assert infer(blank(GroupViTConfig(image=image)).state_dict()).image == ImageEncoderConfig()


def test_a_blank_model_has_shapes_but_no_values(tiny_config):
    assert {p.device.type for p in blank(tiny_config).state_dict().values()} == {"meta"}


NEEDED = [
    "image_encoder.positions.weight",
    "image_encoder.patches.proj.weight",
    "image_encoder.stages.0.blocks.0.mlp.fc1.weight",
    "image_encoder.stages.1.group_token",
    "image_encoder.stages.0.grouping.mix_groups.fc2.weight",
    "image_projector.fc1.weight",
    "image_projector.fc2.weight",
    "text_encoder.tokens.weight",
    "text_encoder.positions",
    "text_encoder.blocks.0.mlp.fc1.weight",
]


@pytest.mark.parametrize("name", NEEDED)
def test_a_tensor_that_is_needed_and_missing_is_named(tiny_config, name):
    tensors = blank(tiny_config).state_dict()
    del tensors[name]
    with pytest.raises(InputError, match=f"missing: {name}"):
        infer(tensors)


@pytest.mark.parametrize("name", NEEDED)
def test_a_tensor_with_another_number_of_axes_is_named(tiny_config, name):
    tensors = blank(tiny_config).state_dict() | {name: torch.zeros(3, 1, 1, 1, 1)}
    with pytest.raises(InputError, match=f"{name} is .* should have"):
        infer(tensors)


def test_heads_that_do_not_share_the_width_are_refused(tiny_config):
    with pytest.raises(ValueError, match="32 cannot be shared by 5 heads"):
        with_heads(tiny_config, image=5, text=2)
    assert with_heads(tiny_config, image=4, text=8).image == replace(tiny_config.image, num_heads=4)
