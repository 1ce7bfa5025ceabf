import json

import numpy as np
import pytest
from PIL import Image

from groupvit import Segmenter
from groupvit.storybook.scene import CLASSES
from tests import lively
from tests.data.pairs import encoded, write_tar
from tests.evaluation.folders import with_background, write_folder


@pytest.fixture
def calibrated(run, model, tmp_path):
    """A file of thresholds from images with masks."""
    folder = with_background(write_folder(tmp_path / "book", num=4))
    out = tmp_path / "background.json"
    code, printed, _ = run("calibrate", folder, "--model", model, "--out", out)
    assert code == 0
    assert f"use it with --background-file {out}" in printed
    assert "mIoU on these images" in printed
    assert "mIoU by one threshold" in printed
    assert "\u2588" in printed
    return out


def test_thresholds_are_used_where_images_are_segmented(run, model, photos, calibrated, tmp_path):
    values = json.loads(calibrated.read_text())
    assert values["certainty"] == "score"
    given = ("--labels", "sky", "boat", "--model", model, "--format", "npz")
    behind = ("--background-file", calibrated)
    assert run("segment", photos / "dog.jpg", *given, *behind, "--out", tmp_path / "a")[0] == 0
    code, _, told = run("segment", photos, *given, "--background-file", tmp_path / "none.json")
    assert code == 2
    assert "make it with groupvit calibrate" in told


def test_thresholds_are_used_and_told_where_a_model_is_measured(run, model, calibrated, tmp_path):
    arguments = ("evaluate", tmp_path / "book", "--model", model, "--out", tmp_path / "out")
    code, printed, _ = run(*arguments, "--background-file", calibrated)
    values = json.loads(calibrated.read_text())
    assert code == 0
    assert f"background below {values['threshold']:g}" in printed
    stored = json.loads((tmp_path / "out/scores.json").read_text())
    assert stored["background_thresholds"] == values["thresholds"]


def test_images_alone_need_labels(run, model, photos, tmp_path):
    out = tmp_path / "background.json"
    arguments = ("calibrate", photos, "--model", model, "--out", out)
    code, printed, _ = run(*arguments, "--labels", "dog", "cat")
    assert code == 0
    assert "3 images" in printed
    assert json.loads(out.read_text())["thresholds"] == {}
    assert "would be overwritten" in run(*arguments, "--labels", "dog", "cat")[2]
    assert "no folder images/ under" in run(*arguments, "--overwrite")[2]


@pytest.mark.parametrize("text", ["{", "[]", '{"threshold": 1}', '{"certainty": "x"}'])
def test_what_is_no_calibration_is_named(run, model, photos, tmp_path, text):
    (tmp_path / "mine.json").write_text(text)
    behind = ("--background-file", tmp_path / "mine.json")
    code, _, told = run("segment", photos, "--labels", "dog", "--model", model, *behind)
    assert code == 2
    assert "mine.json was not written by groupvit calibrate" in told


def test_a_calibrated_model_is_used_where_a_background_is_left_to_it(run, model, photos, tmp_path):
    folder = with_background(write_folder(tmp_path / "book", num=4))
    own, file = tmp_path / "own", tmp_path / "background.json"
    saved = ("--save-model", own, "--out", file)
    code, printed, _ = run("calibrate", folder, "--model", model, *saved)
    assert code == 0
    assert f"--background auto --model {own}" in printed
    assert "would be overwritten" in run("calibrate", folder, "--model", model, *saved)[2]
    assert "exists already" in run("calibrate", folder, "--model", model, *saved[:2])[2]
    given = ("segment", photos / "dog.jpg", "--labels", "sky", "boat", "--format", "npz")
    for name, options in {
        "auto": ("--model", own, "--background", "auto"),
        "file": ("--model", model, "--background-file", file),
        "usual": ("--model", model, "--background", "auto"),
    }.items():
        assert run(*given, *options, "--out", tmp_path / name)[0] == 0
    auto, by_file = (np.load(tmp_path / name / "dog.npz") for name in ("auto", "file"))
    assert all(np.array_equal(auto[key], by_file[key]) for key in auto.files)
    both = ("--background", "auto", "--background-file", file)
    assert "keep one of them" in run(*given, "--model", own, *both)[2]
    assert "calibrated" in run("info", own)[1]


@pytest.fixture
def pairs(tmp_path):
    """A shard of scenes with their captions."""
    captions = ("an apple and the sky", "a boat near the sky", "an apple with a boat")
    members = []
    for i in range(15):
        members.append((f"{i:03d}.jpg", encoded(lively.street(40, 60, i))))
        members.append((f"{i:03d}.txt", captions[i % 3]))
    members[4] = ("002.jpg", b"no image")
    return write_tar(tmp_path / "pairs.tar", members)


def test_a_background_is_learned_from_captions(run, model, photos, pairs, tmp_path):
    out = tmp_path / "learned"
    arguments = ("learn-background", pairs, out, "--model", model)
    code, printed, told = run(*arguments)
    assert (code, told) == (0, "")
    assert "with a label present" in printed
    assert "exists already" in run(*arguments)[2]
    assert "--pairs is 0" in run(*arguments, "--pairs", "0", "--overwrite")[2]
    assert "no noun stands in 5" in run(*arguments, "--pairs", "3", "--overwrite")[2]
    given = ("--labels", "apple", "boat", "--model", out, "--background", "auto")
    assert run("segment", photos / "dog.jpg", *given, "--out", tmp_path / "seen")[0] == 0
    assert "learned layer: a threshold" in run("info", out)[1]


def test_a_background_is_learned_from_masks(run, model, tmp_path):
    folder = with_background(write_folder(tmp_path / "book", num=4))
    for place, path in enumerate(sorted((folder / "masks").iterdir())):
        if place % 2:  # here all is as the model says, elsewhere nothing
            found = Segmenter.load(model)(folder / "images" / path.name, CLASSES[1:])
            Image.fromarray(found.label_map + 1).save(path)
        else:
            Image.new("L", (24, 24)).save(path)
    code, printed, _ = run("learn-background", folder, tmp_path / "learned", "--model", model)
    assert code == 0
    assert "balanced accuracy" in printed
    code, printed, _ = run("evaluate", folder, "--model", tmp_path / "learned")
    assert "background below 0 (margin)" in printed
    plain = write_folder(tmp_path / "plain", num=1)
    told = run("learn-background", plain, tmp_path / "x", "--model", model)[2]
    assert "begin with no background" in told
