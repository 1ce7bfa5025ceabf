"""A run on stored features of a trunk, whose weights are drawn at random."""

import re
from dataclasses import replace

import pytest
import torch

from groupvit.config import load_toml
from groupvit.errors import InputError
from groupvit.model.efficientnet import Classifier, EfficientNetLite
from groupvit.training import planning, state
from groupvit.training.config import TrainingConfig
from groupvit.training.trainer import train
from groupvit.weights import catalogue, efficientnet
from groupvit.weights.efficientnet import Pretrained
from tests.training.runs import equal, trace, weights

SETTINGS = """
out = "{out}"
steps = 5
seed = 3
device = "cpu"
log_every = 1
save_every = 2

[optim]
lr = 1e-2
warmup_steps = 2

[objective]
multi_label_weight = 0.0
patch_nouns_weight = 1.0

[data]
shards = ["{shards}"]
batch_size = 4
num_prompts = 1
num_workers = 0
cached_crops = 2

[data.augmentation]
rand_augment_ops = 0
erasing = 0.0
"""
TRUNK = """
[model]
embedding_dim = 8
projector_dim = 16
centered = true
patch_projector = true

[model.image]
image_size = 64
patch_size = 8
dim = 16
stem = "efficientnet-lite0"
grouping = "rounds"
pooling = "patches"
positions = false

[[model.image.stages]]
depth = 0
num_group_tokens = 9
num_groups = 9

[[model.image.stages]]
depth = 0
num_group_tokens = 4
num_groups = 4

[[model.image.stages]]
depth = 0

[model.text]
vocabulary_size = 600
dim = 16
num_heads = 2
depth = 1
"""


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    """Weights drawn at random in place of those of the package."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = Pretrained(EfficientNetLite("lite0").eval(), Classifier().eval())
    monkeypatch.setattr(efficientnet, "load", lambda _: found)


@pytest.fixture
def config(tmp_path, shards):
    path = tmp_path / "trunk.toml"
    path.write_text(SETTINGS.format(out=tmp_path / "run", shards=shards) + TRUNK)
    return load_toml(TrainingConfig, path)


class PowerCutError(Exception):
    """Stands for anything that ends a process."""


def distilling(config):
    """The same settings with class names distilled and nouns with a prior of their own."""
    return replace(
        config,
        data=replace(config.data, class_prompts=3, nouns_of="image"),
        objective=replace(
            config.objective, distillation_weight=0.5, noun_prior=0.5, noun_scale=20.0
        ),
        optim=replace(config.optim, trunk_lr=1e-3),
    )


@pytest.mark.parametrize("change", [lambda config: config, distilling], ids=["plain", "distilled"])
def test_a_resumed_run_on_stored_features_is_the_uninterrupted_one(
    config, change, tmp_path, monkeypatch, capsys
):
    config = change(config)
    train(replace(config, out=str(tmp_path / "whole")))
    assert re.search(r"features of 2 crops of 21 images, 0\.\d MB", capsys.readouterr().out)
    step, passed = state.TrainingState.step, iter(range(100))

    def cut(self, batch, stop):
        if next(passed) == 3:
            raise PowerCutError
        return step(self, batch, stop)

    monkeypatch.setattr(state.TrainingState, "step", cut)
    with pytest.raises(PowerCutError):
        train(config)
    assert train(config) == 0
    assert trace(config.out) == trace(tmp_path / "whole")
    assert equal(weights(config.out), weights(tmp_path / "whole"))


def test_class_names_need_their_prompts_and_counted_nouns(config):
    whole = distilling(config)
    with pytest.raises(InputError, match=r"distillation_weight is 0\.5 and data\.class_prompts 0"):
        replace(whole, data=replace(whole.data, class_prompts=0))
    with pytest.raises(InputError, match="class_prompts is 3, which needs stored features and"):
        replace(whole.data, nouns_of="caption")
    with pytest.raises(InputError, match="noun_prior needs counted nouns"):
        replace(config, objective=replace(config.objective, noun_prior=0.5))


def test_a_plan_has_prompts_of_class_names(config):
    config = distilling(config)
    data = planning.data_of(config)
    assert data.batch.tokens.shape[1] == 1 + config.data.num_prompts + 3
    assert planning.seconds_here(config, data.batch, steps=1) > 0


def test_class_names_that_are_distilled_are_stored_with_the_model(config):
    data = replace(config.data, class_prompts=3, nouns_of="image", merge_plurals=True)
    objective = replace(config.objective, distillation_weight=0.5)
    train(replace(config, steps=2, data=data, objective=objective))
    coverage = catalogue.load(config.out).coverage
    assert {"dog", "brown bear"} <= set(coverage.distilled)
    assert coverage.unknown(["brown bear", "bear", "zeppelin"]) == ["zeppelin"]


def test_settings_that_stored_features_leave_without_effect_are_refused(config):
    augmentation = replace(config.data.augmentation, erasing=0.5)
    with pytest.raises(InputError, match="rand_augment_ops and erasing change images in every"):
        replace(config, data=replace(config.data, augmentation=augmentation))


def test_stored_features_need_a_trunk(config):
    with pytest.raises(InputError, match="'patches' is no pretrained trunk whose features"):
        TrainingConfig(data=config.data)


def test_features_of_other_settings_are_replaced_only_if_named(config):
    train(config)
    other = replace(config, data=replace(config.data, cached_crops=1))
    with pytest.raises(InputError, match=r"of other settings \(crops was 2 and is 1\)"):
        train(other, changed=["data.cached_crops"])
    assert train(other, changed=["data.cached_crops", "data.cache"]) == 0


@pytest.mark.parametrize("found", [True, False])
def test_a_plan_states_the_size_of_stored_features(config, found, tmp_path):
    if not found:
        config = replace(config, data=replace(config.data, shards=(str(tmp_path / "no.tar"),)))
    data = planning.data_of(config)
    assert data.batch.features.middle.shape == (4, 112, 4, 4)
    middle, classes = 112 * 4 * 4, 16 * 2 * 2
    expected = 21 * 2 * 2 * (middle + 2 * classes + 1)
    assert data.stored == (expected if found else None)
    assert planning.seconds_here(config, data.batch, steps=1) > 0
    assert planning.work_of(config, data.batch).operations > 0
