import numpy as np
import pytest
from PIL import Image

from groupvit.model.inference import InferenceConfig
from groupvit.probes import part_concepts
from groupvit.text.coverage import Coverage
from groupvit.weights import checkpoint
from groupvit.weights.checkpoint import Origin
from tests import lively
from tests.trunks import trunk_model


def test_a_page_and_a_table_tell_what_groups_stand_for(run, model, photos, tmp_path):
    out = tmp_path / "out"
    arguments = ("--labels", "sky", "dog", "--examples", 2, "--out", out)
    code, printed, complaint = run("concepts", photos, "--model", model, *arguments)
    assert (code, complaint) == (0, "")
    assert "nearest words" in printed
    assert str(out / "concepts.html") in printed
    assert "Stage 2" in (out / "concepts.html").read_text()


def test_mistakes_are_answered_before_a_model_is_loaded(run, photos, tmp_path):
    missing = ("--model", "no-such-model", "--out", tmp_path / "out")
    told = run("concepts", photos, "--labels", "sky", "sky", *missing)[2]
    assert "the label 'sky' is given twice" in told
    told = run("concepts", photos, "--labels", "sky", "--examples", 0, *missing)[2]
    assert "--examples is 0; give at least 1" in told
    told = run("concepts", photos / "nowhere", "--labels", "sky", *missing)[2]
    assert "nowhere" in told


@pytest.fixture(scope="module")
def parts_model(tmp_path_factory):
    """The folder of a small model behind a trunk, which knows three nouns."""
    folder = tmp_path_factory.mktemp("models") / "parts"
    checkpoint.save(
        folder,
        trunk_model(),
        Origin(source="a test"),
        inference=InferenceConfig(naming="parts"),
        coverage=Coverage(nouns={"dog": 9, "sky": 8, "tree": 7}),
    )
    return folder


@pytest.fixture
def masked(tmp_path):
    """A folder of images with masks and classes."""
    folder = tmp_path / "masked"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for seed in range(3):
        Image.fromarray(lively.street(40, 60, seed)).save(folder / "images" / f"{seed}.png")
        mask = (np.arange(2400).reshape(40, 60) > 1500).astype(np.uint8)
        Image.fromarray(mask).save(folder / "masks" / f"{seed}.png")
    (folder / "classes.txt").write_text("background\nroad\n")
    return folder


def test_parts_are_clustered_and_compared_with_masks(run, parts_model, masked, tmp_path):
    options = ("--num-concepts", 3, "--out", tmp_path / "out")
    code, printed, complaint = run("concepts", masked, "--model", parts_model, *options)
    assert (code, complaint) == (0, "")
    assert "stage 2, pixels that are not background: purity of concepts 100.0" in printed
    assert any(noun in printed for noun in ("dog", "sky", "tree"))
    page = (tmp_path / "out" / "concepts.html").read_text()
    assert "Stage 2: 3 clusters of parts" in page
    assert "3 images" in page


def test_one_stage_and_at_most_a_thousand_images(run, parts_model, masked, tmp_path, monkeypatch):
    monkeypatch.setattr(part_concepts, "MAX_IMAGES", 2)
    options = ("--stage", 1, "--num-concepts", 3, "--out", tmp_path / "out")
    printed = run("concepts", masked, "--model", parts_model, *options)[1]
    assert "2 of 3 images, evenly spaced" in printed
    assert "stage 1, all pixels" in printed
    assert "stage 2" not in printed


def test_options_that_do_not_fit_the_model_are_refused(run, model, photos, parts_model, tmp_path):
    options = ("--labels", "sky", "--out", tmp_path / "out")
    told = run("concepts", photos, "--model", model, *options, "--num-concepts", 4)[2]
    assert "leave --num-concepts out" in told
    told = run("concepts", photos, "--model", parts_model, *options, "--stage", 3)[2]
    assert "--stage is 3, but this model has 2 stages that group" in told
    told = run("concepts", photos, "--model", model, "--out", tmp_path / "out")[2]
    assert "give candidates, such as --labels sky grass dog" in told
    printed = run("concepts", photos, "--model", model, *options, "--stage", 2)[1]
    assert "\n  1 " not in printed
