"""A place as the documentation supposes it: photographs, and a model in the hub's cache."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from groupvit.model.config import (
    GroupViTConfig,
    ImageEncoderConfig,
    StageConfig,
    TextEncoderConfig,
)
from groupvit.model.groupvit import GroupViT
from groupvit.weights import hugging_face

SMALL = GroupViTConfig(
    image=ImageEncoderConfig(
        dim=32,
        num_heads=2,
        stages=(
            StageConfig(depth=1, num_group_tokens=8, num_groups=8),
            StageConfig(depth=1, num_group_tokens=4, num_groups=4),
            StageConfig(depth=1),
        ),
    ),
    text=TextEncoderConfig(dim=32, num_heads=2, depth=1),
    embedding_dim=16,
    projector_dim=48,
    multi_label=False,
)


def make_cache(home: Path, hub_id: str) -> None:
    """Put a small random model where huggingface_hub keeps what it has downloaded."""
    repository = home / "hub" / f"models--{hub_id.replace('/', '--')}"
    revision = "0" * 40
    with torch.random.fork_rng():
        torch.manual_seed(0)
        hugging_face.save(repository / "snapshots" / revision, GroupViT(SMALL).eval())
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """The hub's cache, with a model in it."""
    folder = tmp_path_factory.mktemp("home")
    make_cache(folder, "nvidia/groupvit-gcc-yfcc")
    return folder


@pytest.fixture
def shell(home, tmp_path):
    """Runs a command beside photographs and settings; a command that fails, fails the test."""
    generator = np.random.default_rng(0)
    (tmp_path / "configs").symlink_to(Path(__file__).parents[2] / "configs")
    (tmp_path / "photos").mkdir()
    for name in ("dog.jpg", "street.jpg"):
        coarse = generator.integers(0, 256, (6, 8, 3)).astype(np.uint8)
        image = Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)
        image.save(tmp_path / "photos" / name)
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}

    def run(*command):
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return run
