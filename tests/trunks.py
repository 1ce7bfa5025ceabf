"""A small model behind a pretrained trunk, whose weights are drawn at random."""

from dataclasses import replace
from functools import cache

import torch

from groupvit.model.config import (
    GroupViTConfig,
    ImageEncoderConfig,
    SpatialConfig,
    StageConfig,
    TextEncoderConfig,
)
from groupvit.model.groupvit import GroupViT

TRUNK_CONFIG = GroupViTConfig(
    image=ImageEncoderConfig(
        image_size=64,
        patch_size=8,
        dim=16,
        stem="efficientnet-lite0",
        grouping="rounds",
        pooling="patches",
        positions=False,
        stages=(
            StageConfig(depth=0, num_group_tokens=9, num_groups=9),
            StageConfig(depth=0, num_group_tokens=4, num_groups=4),
            StageConfig(depth=0),
        ),
    ),
    text=TextEncoderConfig(vocabulary_size=600, dim=16, num_heads=2, depth=1),
    embedding_dim=8,
    projector_dim=16,
    centered=True,
    patch_projector=True,
)


@cache
def _drawn() -> GroupViT:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return GroupViT(TRUNK_CONFIG)


def trunk_model(*, spatial: SpatialConfig | None = None) -> GroupViT:
    """A model whose trunk passes on what it sees, in evaluation mode; its weights are a copy."""
    model = GroupViT(replace(TRUNK_CONFIG, spatial=spatial))
    values = dict(_drawn().state_dict())
    for name, value in values.items():
        if "trunk" in name and value.ndim == 4:  # keeps the size of what comes in
            values[name] = value * (6.0**0.5)
    model.load_state_dict(values, strict=spatial is None)
    return model.eval()
