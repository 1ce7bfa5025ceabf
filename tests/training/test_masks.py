"""Runs on folders of images with masks, alone and mixed with captions."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from groupvit.config import to_values
from groupvit.data.config import AugmentationConfig
from groupvit.errors import InputError
from groupvit.model.config import SpatialConfig
from groupvit.model.inference import InferenceConfig
from groupvit.segmentation.segmenter import Segmenter
from groupvit.training import state
from groupvit.training.planning import data_of, work_of
from groupvit.training.run_folder import RunFolder
from groupvit.training.trainer import train
from groupvit.weights import checkpoint
from tests.evaluation.folders import write_folder
from tests.lively import street
from tests.training.runs import equal, trace, weights

FLIP = AugmentationConfig(rand_augment_ops=0, erasing=0.0)
SPATIAL = SpatialConfig(kind="bottleneck", depth=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("masks") / "scenes", num=5)


@pytest.fixture
def masks(config, folder, tmp_path):
    """The settings of a run on masks that starts from a model of captions."""
    captions = replace(config, steps=2, out=str(tmp_path / "captions"))
    train(captions)
    data = replace(config.data, shards=(), masks=(str(folder),), augmentation=FLIP)
    return replace(config, start=captions.out, freeze=("text",), data=data)


def mixed(config, shards, **changes):
    return replace(config, data=replace(config.data, shards=(shards,), mask_share=0.5, **changes))


def losses(config):
    lines = map(json.loads, (Path(config.out) / "log.jsonl").read_text().splitlines())
    return [{name for name in line if name.startswith("loss/")} for line in lines if "loss" in line]


def test_masks_train_the_image_and_leave_the_texts(masks):
    before = weights(masks.start)
    assert train(masks) == 0
    after = weights(masks.out)
    assert losses(masks) == [{"loss/pixels"}] * masks.steps
    for name, value in before.items():
        if name.startswith("text") or name.endswith("log_scale"):
            assert torch.equal(after[name], value), name
    assert not torch.equal(
        after["image_encoder.patches.proj.weight"], before["image_encoder.patches.proj.weight"]
    )
    words = checkpoint.load(RunFolder(Path(masks.out)).latest()).coverage
    assert {"sky", "boat"} <= set(words.distilled)


class PowerCutError(Exception):
    """Stands for anything that ends a process."""


@pytest.mark.parametrize("is_mixed", [False, True])
def test_a_resumed_run_equals_the_uninterrupted_one(masks, shards, tmp_path, monkeypatch, is_mixed):
    if is_mixed:
        masks = mixed(masks, shards)
    masks = replace(masks, data=replace(masks.data, masks=masks.data.masks * 2))
    train(replace(masks, out=str(tmp_path / "whole")))
    begin = state.TrainingState.step

    def step(self, batch, stop):
        if self.progress.step == 5:
            raise PowerCutError
        return begin(self, batch, stop)

    with monkeypatch.context() as patch:
        patch.setattr(state.TrainingState, "step", step)
        with pytest.raises(PowerCutError):
            train(masks)
    assert train(masks) == 0
    assert trace(masks.out) == trace(tmp_path / "whole")
    assert equal(weights(masks.out), weights(tmp_path / "whole"))


def test_masks_and_captions_share_the_steps(masks, shards):
    train(mixed(masks, shards))
    of_captions = {"loss/caption", "loss/multi_label"}
    assert (
        losses(masks) == [of_captions, {"loss/pixels"}] * 4
        or losses(masks)
        == [
            {"loss/pixels"},
            of_captions,
        ]
        * 4
    )


def with_levels(masks, spatial):
    """The run with embeddings of every level, and a spatial block."""
    return replace(
        masks,
        inference=InferenceConfig(naming="levels"),
        model=replace(masks.model, spatial=spatial),
    )


def test_the_spatial_block_is_trained_stored_and_used(masks):
    train(with_levels(masks, SPATIAL))
    found = checkpoint.load(RunFolder(Path(masks.out)).latest())
    assert found.model.config.spatial == SPATIAL
    weight = found.model.spatial_block.weight.detach()
    assert weight[4] != 1
    assert weight[0] != 0
    image, labels = street(40, 60), ["sky", "boat", "tree", "car", "dog"]
    segmenter = Segmenter(found.model, inference=found.inference)
    with_block = segmenter(image, labels).score_map.dense()
    order = [3, 0, 4, 1, 2]
    permuted = segmenter(image, [labels[index] for index in order]).score_map.dense()
    torch.testing.assert_close(permuted, with_block[order])
    with torch.no_grad():
        found.model.spatial_block.weight.copy_(torch.eye(10)[4])
        found.model.spatial_block.weight[4] = 0.5
    assert not torch.allclose(segmenter(image, labels).score_map.dense(), with_block)
    with pytest.raises(InputError, match="naming by segments has no maps of patches"):
        Segmenter(found.model, protocol="groupvit")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": ""}, "give start"),
        ({"freeze": ()}, "freeze text"),
        ({"data": {"augmentation": AugmentationConfig()}}, "rand_augment_ops"),
        ({"data": {"shards": ("here.tar",)}}, "data.shards have no effect"),
        ({"data": {"masks": ("nowhere",)}}, "no folder nowhere"),
        ({"data": {"masks": (), "shards": "same", "held_out": ("sky",)}}, "without data.masks"),
        ({"data": {"held_out": ("skyscraper",)}}, "'skyscraper', which is no class"),
        ({"data": {"mask_values": ("1=boat",)}}, "--data.mask-values"),
        ({"model": {"spatial": SPATIAL}}, "'segments' does not have"),
    ],
)
def test_mistakes_are_refused_before_the_first_step(masks, shards, change, message):
    changes = dict(change)
    for name in ("data", "model"):
        if name in changes:
            values = {k: (shards,) if v == "same" else v for k, v in changes[name].items()}
            changes[name] = replace(getattr(masks, name), **values)
    with pytest.raises(InputError, match=message):
        train(replace(masks, **changes))
    assert not Path(masks.out).exists()


def test_a_folder_with_other_files_is_refused(masks, tmp_path):
    other = write_folder(tmp_path / "scenes", num=3)
    masks = replace(masks, steps=3, data=replace(masks.data, masks=(str(other),)))
    train(masks)
    (other / "images" / "002.png").unlink()
    (other / "masks" / "002.png").unlink()
    more = replace(masks, steps=4)
    with pytest.raises(
        InputError, match=r"scenes has other files than when .* --changed data\.masks"
    ):
        train(more)
    assert train(more, changed=("data.masks",)) == 0


def test_a_plan_counts_the_pixels_of_masks(masks, shards):
    found = data_of(masks)
    assert found.num_pairs == 5
    assert found.batch.masks is not None
    assert work_of(masks, found.batch).operations > 0
    with pytest.raises(InputError, match=r"data\.mask_share to 1"):
        data_of(mixed(masks, shards))


def test_the_settings_of_the_block_are_written_and_read(masks):
    values = to_values(with_levels(masks, SPATIAL))
    assert values["model"]["spatial"] == {"kind": "bottleneck", "depth": 2, "activation": "relu"}
