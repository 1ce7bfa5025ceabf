import pytest

from groupvit.config import load_toml
from groupvit.training.config import TrainingConfig
from tests.data.pairs import write_shards

SETTINGS = """
out = "{out}"
steps = 8
seed = 3
device = "cpu"
log_every = 1
save_every = 3
evaluate_every = 4
ema_decay = 0.5

[optim]
lr = 1e-2
first_lr = 1e-3
last_lr = 1e-3
warmup_steps = 2

[data]
nouns = "pattern"
shards = ["{shards}"]
batch_size = 4
num_prompts = 1
num_workers = 0

[model]
embedding_dim = 8
projector_dim = 16

[model.image]
image_size = 16
patch_size = 8
dim = 16
num_heads = 2

[[model.image.stages]]
depth = 1
num_group_tokens = 3
num_groups = 3

[[model.image.stages]]
depth = 1

[model.text]
vocabulary_size = 600
dim = 16
num_heads = 2
depth = 1
"""


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    """The pattern of two small shards."""
    return write_shards(tmp_path_factory.mktemp("pairs") / "shards", 12, 9)


@pytest.fixture
def settings(tmp_path, shards):
    """A settings file of a run that takes a moment."""
    path = tmp_path / "tiny.toml"
    path.write_text(SETTINGS.format(out=tmp_path / "run", shards=shards))
    return path


@pytest.fixture
def config(settings):
    """The settings in that file."""
    return load_toml(TrainingConfig, settings)
