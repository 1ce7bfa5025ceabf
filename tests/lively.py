"""A small model with a life of its own, and images for it."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from groupvit.model.config import (
    GroupViTConfig,
    ImageEncoderConfig,
    StageConfig,
    TextEncoderConfig,
)
from groupvit.model.grouping import HardGrouping
from groupvit.model.groupvit import GroupViT

LIVELY = GroupViTConfig(
    image=ImageEncoderConfig(
        image_size=32,
        patch_size=8,
        dim=32,
        num_heads=2,
        stages=(
            StageConfig(depth=1, num_group_tokens=12, num_groups=12),
            StageConfig(depth=1, num_group_tokens=5, num_groups=5),
            StageConfig(depth=1),
        ),
    ),
    text=TextEncoderConfig(dim=32, num_heads=2, depth=1),
    embedding_dim=16,
    projector_dim=48,
)


def lively_model() -> GroupViT:
    """A small random model whose weights are large enough for groups and words to differ."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = GroupViT(LIVELY).eval()
        with torch.no_grad():
            for parameter in model.image_encoder.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(std=0.6)
            model.log_scale.fill_(2.0)
    return model


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of an image file."""
    with Image.open(path) as image:
        return image.size


def street(height: int, width: int, seed: int = 0) -> np.ndarray:
    """An image of colored patches, "height width 3"."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (5, 6, 3)).astype(np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST))


def without_noise(model):
    """The model, whose hard grouping blocks draw no noise in training; returns it."""
    for module in model.modules():
        if isinstance(module, HardGrouping):
            module.training = False
    return model
