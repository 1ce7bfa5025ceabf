"""A place as the documentation supposes it: photographs, and a model in the hub's cache."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from groupvit.exported import graphs
from groupvit.model.config import (
    GroupViTConfig,
    ImageEncoderConfig,
    StageConfig,
    TextEncoderConfig,
)
from groupvit.model.groupvit import GroupViT
from groupvit.weights import hugging_face
from tests.docs.commands import ROOT

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
def hub_cache(once):
    """The hub's cache, with a model in it."""
    return once("hub", lambda folder: make_cache(folder, "nvidia/groupvit-gcc-yfcc"))


@pytest.fixture
def place(request, hub_cache, tmp_path, monkeypatch):
    """A folder to run the commands of a page in: photographs, settings, and no network."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    shutil.copy(tmp_path / "configs/storybook-quick.toml", tmp_path / "configs/mine.toml")
    (tmp_path / "photos").mkdir()
    generator = np.random.default_rng(0)
    for name in ("dog.jpg", "street.jpg"):
        coarse = generator.integers(0, 256, (6, 8, 3)).astype(np.uint8)
        image = Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)
        image.save(tmp_path / "photos" / name)
    monkeypatch.chdir(tmp_path)

    def copied(beside, _model, _precision):
        exact = request.getfixturevalue("exports") / "exact"
        for name in ("image.onnx", "text.onnx"):
            shutil.copy(exact / name, beside)

    monkeypatch.setattr(graphs, "write", copied)  # those of the bundled model, traced before
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub_cache / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path
