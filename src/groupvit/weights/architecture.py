"""Architecture inferred from the shapes of the tensors of a model."""

import re
from collections.abc import Mapping
from dataclasses import replace
from math import isqrt

import torch
from torch import Tensor

from groupvit.errors import InputError
from groupvit.model.config import (
    MAX_DEPTH,
    MAX_STAGES,
    GroupViTConfig,
    ImageEncoderConfig,
    StageConfig,
    TextEncoderConfig,
)
from groupvit.model.groupvit import GroupViT
from groupvit.model.initialization import NoInitialization

HEAD_DIM = 64
"""Width of a head in every released model; the shapes do not show it."""


def infer(tensors: Mapping[str, Tensor]) -> GroupViTConfig:
    """The architecture of tensors that bear our names; heads are taken to be 64 wide.

    A width that 64 does not divide is given to one head.

    Raises:
        InputError: A tensor that the reading needs is missing or has another number of axes.
    """
    positions = _shape(tensors, "image_encoder.positions.weight", 3)
    patches = _shape(tensors, "image_encoder.patches.proj.weight", 4)
    return GroupViTConfig(
        image=ImageEncoderConfig(
            image_size=isqrt(positions[1]) * patches[-1],
            patch_size=patches[-1],
            dim=patches[0],
            num_heads=_num_heads(patches[0]),
            mlp_ratio=_mlp_ratio(tensors, "image_encoder.stages.0.blocks.0.mlp.fc1.weight"),
            stages=_stages(tensors),
        ),
        text=_text(tensors),
        embedding_dim=_shape(tensors, "image_projector.fc2.weight", 2)[0],
        projector_dim=_shape(tensors, "image_projector.fc1.weight", 2)[0],
        multi_label="multi_label_log_scale" in tensors,
    )


def with_heads(config: GroupViTConfig, *, image: int, text: int) -> GroupViTConfig:
    """The same architecture with these numbers of attention heads."""
    return replace(
        config,
        image=replace(config.image, num_heads=image),
        text=replace(config.text, num_heads=text),
    )


def blank(config: GroupViTConfig) -> GroupViT:
    """Model whose parameters have shapes and no values."""
    with torch.device("meta"), NoInitialization():
        return GroupViT(config)


def _shape(tensors: Mapping[str, Tensor], name: str, num_axes: int) -> tuple[int, ...]:
    if name not in tensors:
        raise InputError(f"the tensors do not make a GroupViT; missing: {name}")
    shape = tuple(tensors[name].shape)
    if len(shape) != num_axes:
        raise InputError(f"{name} is {shape} and should have {num_axes} axes")
    return shape


def _num_heads(dim: int) -> int:
    return 1 if dim % HEAD_DIM else dim // HEAD_DIM


def _mlp_ratio(tensors: Mapping[str, Tensor], name: str) -> float:
    hidden, dim = _shape(tensors, name, 2)
    if dim == 0:
        raise InputError(f"{name} is {(hidden, dim)} and should not be empty")
    return hidden / dim


def _count(tensors: Mapping[str, Tensor], prefix: str, largest: int = MAX_DEPTH) -> int:
    """Number of numbered parts whose names start with the prefix."""
    numbers = {name[len(prefix) :].split(".")[0] for name in tensors if name.startswith(prefix)}
    for number in numbers:
        if not re.fullmatch(r"[0-9]{1,4}", number) or int(number) >= largest:
            raise InputError(
                f"{prefix}{number:.40} is no part of a network; the last one can be "
                f"{prefix}{largest - 1}"
            )
    return 1 + max(map(int, numbers), default=-1)


def _stages(tensors: Mapping[str, Tensor]) -> tuple[StageConfig, ...]:
    stages = []
    for index in range(_count(tensors, "image_encoder.stages.", MAX_STAGES)):
        stage = f"image_encoder.stages.{index}."
        groups = {}
        if any(name.startswith(stage + "group") for name in tensors):
            groups = {
                "num_group_tokens": _shape(tensors, stage + "group_token", 3)[1],
                "num_groups": _shape(tensors, stage + "grouping.mix_groups.fc2.weight", 2)[0],
            }
        stages.append(StageConfig(depth=_count(tensors, stage + "blocks."), **groups))
    return tuple(stages)


def _text(tensors: Mapping[str, Tensor]) -> TextEncoderConfig:
    vocabulary, dim = _shape(tensors, "text_encoder.tokens.weight", 2)
    return TextEncoderConfig(
        vocabulary_size=vocabulary,
        context_length=_shape(tensors, "text_encoder.positions", 2)[0],
        dim=dim,
        depth=_count(tensors, "text_encoder.blocks."),
        num_heads=_num_heads(dim),
        mlp_ratio=_mlp_ratio(tensors, "text_encoder.blocks.0.mlp.fc1.weight"),
    )
