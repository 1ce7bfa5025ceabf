import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from groupvit.data import index, patterns
from groupvit.data.batch import Batch
from groupvit.data.config import DataConfig
from groupvit.data.first_images import first_images
from groupvit.distributed import Ranks
from groupvit.errors import InputError
from groupvit.model.cues import AXES
from groupvit.model.efficientnet import Middle
from groupvit.segmentation.segmenter import Segmenter
from groupvit.training import optim
from groupvit.training.config import ObjectiveConfig, OptimConfig, TrainingConfig
from groupvit.training.pretrained import bases_of
from groupvit.training.run_folder import RunFolder
from groupvit.training.step import forward_backward, passes_of
from groupvit.training.trainer import train
from groupvit.weights import catalogue, efficientnet
from groupvit.weights.efficientnet import Pretrained, package
from tests.training.runs import equal, trace, weights
from tests.trunks import TRUNK_CONFIG, trunk_model


@pytest.fixture
def drawn(monkeypatch):
    """Weights of the trunk are drawn at random, so that no package is needed."""
    trunk = trunk_model().image_encoder.trunk
    monkeypatch.setattr(efficientnet, "load", lambda _variant: Pretrained(trunk, None))
    return trunk


@pytest.fixture
def config(config):
    """Settings of a short run that trains the upper half too."""
    return replace(
        config,
        model=TRUNK_CONFIG,
        steps=4,
        ema_decay=0.0,
        objective=ObjectiveConfig(multi_label_weight=0.0, patch_nouns_weight=1.0),
        optim=replace(config.optim, trunk_lr=1e-3),
    )


def _indexed(pattern):
    return index.prepare(patterns.expand([pattern]), "pattern")


def test_a_run_begins_with_the_trunk_and_changes_its_upper_half(drawn, config):
    assert train(config) == 0
    lines = [json.loads(line) for line in (Path(config.out) / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 4
    assert not any(name.startswith("stage") for line in lines for name in line)
    found, first = weights(config.out), drawn.state_dict()
    for name, value in first.items():
        kept = torch.equal(found[f"image_encoder.trunk.{name}"], value)
        assert kept == (name.startswith("lower") or "running" in name), name


def test_an_upper_half_without_a_learning_rate_stays(drawn, config):
    assert train(replace(config, optim=replace(config.optim, trunk_lr=0.0))) == 0
    found = weights(config.out)
    for name, value in drawn.state_dict().items():
        assert torch.equal(found[f"image_encoder.trunk.{name}"], value), name


@pytest.mark.usefixtures("drawn")
def test_a_resumed_run_equals_the_uninterrupted_one(config, tmp_path):
    assert train(config) == 0
    other = replace(config, out=str(tmp_path / "other"))
    shutil.copytree(config.out, other.out)
    shutil.rmtree(tmp_path / "other" / "step-000004")
    (tmp_path / "other" / "latest").write_text("step-000003")
    assert train(other) == 0
    assert trace(other.out) == trace(config.out)
    assert equal(weights(other.out), weights(config.out))


@pytest.mark.usefixtures("drawn")
def test_a_trained_model_segments_and_is_written_in_half_precision(config, run_command, tmp_path):
    assert train(config) == 0
    checkpoint = RunFolder(Path(config.out)).latest()
    run_command("convert", checkpoint, tmp_path / "half", "--half")
    sizes = [
        (folder / "model.safetensors").stat().st_size for folder in (checkpoint, tmp_path / "half")
    ]
    assert sizes[1] < 0.53 * sizes[0]
    exact, half = (catalogue.load(name).model for name in (checkpoint, tmp_path / "half"))
    for name, value in half.state_dict().items():
        torch.testing.assert_close(value, exact.state_dict()[name], atol=1e-4, rtol=1e-3)
        assert value.dtype == exact.state_dict()[name].dtype
    assert "groups, found in each image" in run_command("info", tmp_path / "half")
    image = torch.randint(0, 256, (40, 56, 3), dtype=torch.uint8).numpy()
    result = Segmenter(half)(image, ["dog", "cat"])
    assert result.label_map.shape == (40, 56)
    assert [result.groups.num_groups(stage) for stage in (0, 1)] == [9, 4]


@pytest.fixture
def run_command(capsys):
    """Runs a command of the package; gives what it prints."""
    from groupvit import cli

    def run(*line):
        assert cli.main(list(map(str, line))) == 0
        return capsys.readouterr().out

    return run


def test_the_weights_are_those_of_the_package(config):
    pytest.importorskip(package("lite0").replace("-", "_"))
    assert train(replace(config, steps=2, optim=replace(config.optim, trunk_lr=0.0))) == 0
    found = weights(config.out)
    for name, value in efficientnet.load("lite0").trunk.state_dict().items():
        assert torch.equal(found[f"image_encoder.trunk.{name}"], value)
    basis = found["image_encoder.basis_coarse"]
    assert not torch.equal(basis, torch.eye(*basis.shape))


def test_first_images_are_the_same_every_time_and_of_every_shard(shards):
    indexed, config = _indexed(shards), DataConfig(crop_scale_min=0.5)
    found = [first_images(indexed, config, count=8, image_size=16) for _ in range(2)]
    assert torch.equal(*found)
    assert found[0].shape == (8, 3, 16, 16)
    # The brightness of an image tells its number; the second shard begins with 12.
    brightness = found[0].float().mean(dim=(1, 2, 3)) / 3
    torch.testing.assert_close(
        brightness, torch.tensor([0.0, 1, 2, 3, 12, 13, 14, 15]), atol=0.5, rtol=0
    )
    assert len(first_images(indexed, config, count=100, image_size=16)) == 21


def test_shards_without_an_image_are_refused(tmp_path, shards):
    first = _indexed(shards)[0]
    short = tmp_path / "short.tar"
    short.write_bytes(b"\0" * 100_000)
    broken = replace(first, tar=short, tensors=None)
    (tmp_path / "short.tar.index").write_bytes(index.index_path(first.path).read_bytes())
    with pytest.raises(InputError, match="none of the first images"):
        first_images([broken], DataConfig(), count=8, image_size=16)


def test_bases_are_the_principal_axes_of_the_maps():
    trunk = trunk_model().image_encoder.trunk
    images = torch.randint(0, 256, (40, 3, 64, 64), generator=torch.Generator().manual_seed(1))
    images = images.to(torch.uint8)
    found, again = bases_of(trunk, images), bases_of(trunk, images)
    assert tuple(basis.shape[1] for basis in found) == AXES
    for basis, other in zip(found, again, strict=True):
        assert torch.equal(basis, other)
        torch.testing.assert_close(basis.mT @ basis, torch.eye(basis.shape[1]))


def test_the_trunk_learns_at_a_rate_in_proportion():
    model, config = trunk_model(), OptimConfig(lr=1e-2, trunk_lr=1e-3)
    optim.freeze_trunk(model, config)
    optimizer = optim.optimizer_of(model, config)
    optim.set_lr(optimizer, 4e-3)
    rates = {name: group["lr"] for group in optimizer.param_groups for name in group["param_names"]}
    assert not any(".lower." in name for name in rates)
    for name, rate in rates.items():
        assert rate == pytest.approx(4e-4 if ".trunk.upper." in name else 4e-3), name
    optim.freeze_trunk(model, OptimConfig())
    optimizer = optim.optimizer_of(model, OptimConfig())
    assert not any(".trunk." in n for group in optimizer.param_groups for n in group["param_names"])


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"objective": ObjectiveConfig(segment_nouns_weight=1.0, patch_nouns_weight=1.0)},
            "losses",
        ),
        (
            {"objective": ObjectiveConfig(mutual_information_weight=1.0, patch_nouns_weight=1.0)},
            "losses",
        ),
        ({"freeze": ("all-but-groups",)}, "would freeze everything"),
        ({"chunk": 2}, "need the whole batch at once"),
    ],
)
def test_settings_without_effect_behind_a_trunk_are_refused(changes, complaint):
    whole = {
        "model": TRUNK_CONFIG,
        "objective": ObjectiveConfig(patch_nouns_weight=1.0),
        **changes,
    }
    with pytest.raises(InputError, match=complaint):
        TrainingConfig(**whole)


def test_a_rate_of_a_trunk_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="is no pretrained trunk"):
        TrainingConfig(optim=OptimConfig(trunk_lr=1e-3))


def test_a_step_takes_middle_maps_in_place_of_images():
    model, config = trunk_model().train(), ObjectiveConfig(patch_nouns_weight=1.0)
    passes = passes_of(model, Ranks(), config, chunk=0)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(4, 3, 64, 64, generator=generator)
    tokens = torch.randint(1, 500, (4, 3, 6), generator=generator)
    nouns = torch.randint(1, 5, (4, 16), generator=generator)
    batch = Batch(torch.zeros(4, 3, 64, 64).byte(), tokens, nouns[:, :2], nouns, 0)
    middle = Middle(model.image_encoder.trunk.lower(images).middle.detach())
    gradients = []
    for given in (images, middle):
        model.zero_grad()
        result = forward_backward(passes, given, batch, config, Ranks(), autocast=None)
        assert not result.group_usage.groups_used.numel()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_starts_from_another_with_its_trunk_and_bases(config, tmp_path, precision):
    assert train(replace(config, steps=2, precision=precision, ema_decay=0.5)) == 0
    before = weights(config.out)
    after = replace(
        config,
        out=str(tmp_path / "after"),
        start=config.out,
        steps=2,
        optim=replace(config.optim, trunk_lr=0.0),
    )
    assert train(after) == 0
    found = weights(after.out)
    fixed = [name for name in found if ".trunk." in name or ".basis_" in name]
    assert len(fixed) > 3
    assert all(torch.equal(found[name], before[name]) for name in fixed)
