import json

import pytest

from tests.evaluation.folders import with_background, write_folder


@pytest.fixture
def calibrated(run, model, tmp_path):
    """A file of thresholds from pictures with masks."""
    folder = with_background(write_folder(tmp_path / "book", num=4))
    out = tmp_path / "background.json"
    code, printed, _ = run("calibrate", folder, "--model", model, "--out", out)
    assert code == 0
    assert f"use it with --background-file {out}" in printed
    assert "mIoU on them" in printed
    assert "mIoU over one threshold" in printed
    assert "\u2588" in printed
    return out


def test_thresholds_are_used_where_pictures_are_segmented(run, model, photos, calibrated, tmp_path):
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


def test_pictures_alone_need_labels(run, model, photos, tmp_path):
    out = tmp_path / "background.json"
    arguments = ("calibrate", photos, "--model", model, "--out", out)
    code, printed, _ = run(*arguments, "--labels", "dog", "cat")
    assert code == 0
    assert "3 pictures" in printed
    assert json.loads(out.read_text())["thresholds"] == {}
    assert "would be overwritten" in run(*arguments, "--labels", "dog", "cat")[2]
    assert "no folder images/ under" in run(*arguments, "--overwrite")[2]


@pytest.mark.parametrize("text", ["{", "[]", '{"threshold": 1}', '{"certainty": "x"}'])
def test_what_is_no_calibration_is_named(run, model, photos, tmp_path, text):
    (tmp_path / "mine.json").write_text(text)
    behind = ("--background-file", tmp_path / "mine.json")
    code, _, told = run("segment", photos, "--labels", "dog", "--model", model, *behind)
    assert code == 2
    assert "mine.json is no file of groupvit calibrate" in told
