"""Fixtures for every room: a tiny model, seeded draws, and no way into the network."""

import copy
import os
import shutil
import socket

import pytest
import torch
from filelock import FileLock
from hypothesis import settings

from groupvit.model.config import (
    GroupViTConfig,
    ImageEncoderConfig,
    StageConfig,
    TextEncoderConfig,
)
from groupvit.model.groupvit import GroupViT
from tests import ranks
from tests.exports import export

HERE = ("127.0.0.1", "::1", "localhost")

# Drawn examples are the same in every run, and no slow machine makes one fail.
settings.register_profile("steady", database=None, derandomize=True, deadline=None)
settings.load_profile("steady")

# Tensors this small gain nothing from threads, and those of several processes collide.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # processes that tests start

# Nothing is kept between runs, so that models compute with torch unless a test says otherwise: many
# tests compare to the last bits, and compiling takes seconds.
os.environ["GROUPVIT_CACHE"] = ""


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A socket of a test reaches this machine only."""
    connect = socket.socket.connect

    def only_here(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in HERE:
            raise AssertionError(f"a test asks for the network: {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_here)


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Makes a folder that all tests share: the first worker that needs it, the others wait."""

    def make_once(name, make):
        root = tmp_path_factory.getbasetemp()
        if "PYTEST_XDIST_WORKER" in os.environ:
            root = root.parent
        folder, whole = root / name, root / f"{name}.whole"
        with FileLock(root / f"{name}.lock"):
            if not whole.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                whole.touch()
        return folder

    return make_once


@pytest.fixture(scope="session")
def exports(once):
    """The bundled model exported, see `tests.exports`."""
    return once("exports", export)


@pytest.fixture(scope="session")
def _ranks(request, once):
    """The results of both ranks, for all modules of this run that need them."""
    items = sorted(request.session.items, key=lambda item: item.path)
    modules = {
        ranks.name_of(item.path): item.module
        for item in items
        if hasattr(item.module, "on_each_rank")
    }
    return once("ranks", lambda folder: ranks.launch(folder, modules))


@pytest.fixture(scope="module")
def ranks_folder(_ranks, request):
    """The folder that `on_each_rank` of the test's module was given."""
    return _ranks / ranks.name_of(request.path)


@pytest.fixture(scope="module")
def both_ranks(ranks_folder):
    """The results of `on_each_rank` of the test's module, by rank."""
    return ranks.results(ranks_folder)


@pytest.fixture(scope="session")
def tiny_config():
    """The released architecture in small: three stages, two groupings, 32 wide."""
    return GroupViTConfig(
        image=ImageEncoderConfig(
            image_size=32,
            patch_size=8,
            dim=32,
            num_heads=2,
            stages=(
                StageConfig(depth=2, num_group_tokens=6, num_groups=6),
                StageConfig(depth=1, num_group_tokens=3, num_groups=3),
                StageConfig(depth=1),
            ),
        ),
        text=TextEncoderConfig(dim=32, num_heads=2, depth=2),
        embedding_dim=16,
        projector_dim=48,
    )


@pytest.fixture(scope="session")
def build():
    """Makes a model of a configuration from a seed, in evaluation mode."""

    def build_model(config, seed=0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return GroupViT(config).eval()

    return build_model


@pytest.fixture(scope="session")
def enliven():
    """Draws every value of a model anew and large, so that no part of it idles; returns it.

    The assignment's own maps are drawn larger still, so that tokens choose clearly.
    """

    def draw_values(model, seed=0, std=0.03, clearer=5):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, value in model.state_dict().items():
                noise = torch.randn(value.shape, generator=generator)
                if name.endswith("running_var"):
                    value.copy_(1 + 0.5 * noise.tanh())
                elif value.is_floating_point() and value.ndim > 1:
                    chooses = ".assign.query." in name or ".assign.key." in name
                    value.copy_(noise * (clearer * std if chooses else std))
                elif value.is_floating_point() and value.ndim == 1:
                    is_norm = "norm" in name and name.endswith("weight")
                    value.copy_(is_norm + 0.1 * noise)
        return model

    return draw_values


@pytest.fixture(scope="session")
def _drawn_once(tiny_config, build):
    return build(tiny_config)


@pytest.fixture
def tiny_model(_drawn_once):
    """A copy of the seeded tiny model in evaluation mode, the test's own."""
    return copy.deepcopy(_drawn_once)


@pytest.fixture(scope="session")
def draw():
    """Draws a tensor of normal numbers of a shape from a seed."""

    def draw_tensor(*shape, seed=0):
        return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))

    return draw_tensor


@pytest.fixture(scope="session")
def tokens():
    """Three texts as token ids, padded with zeros to 77."""
    rows = torch.zeros(3, 77, dtype=torch.long)
    texts = ([320, 1125, 539, 320, 2368, 269], [320, 1929], [320, 33341, 269, 518])
    for row, text in zip(rows, texts, strict=True):
        row[: len(text) + 2] = torch.tensor([49406, *text, 49407])
    return rows
