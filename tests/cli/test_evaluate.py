import json

import pytest

from groupvit.storybook.scene import CLASSES
from tests.evaluation.folders import with_background, write_folder


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "book", num=3)


@pytest.fixture
def evaluate(run, model, folder):
    def evaluate(*arguments):
        return run("evaluate", folder, "--model", model, *arguments)

    return evaluate


def test_every_class_and_all_means_are_shown(evaluate):
    code, printed, complaint = evaluate()
    assert (code, complaint) == (0, "")
    shown = ("IoU", "oracle", "gap", "mIoU", "oracle of stage 1", "oracle of stage 2")
    for expected in (*CLASSES, *shown, "pixel accuracy", "groups in use", "3 in", "protocol ours"):
        assert expected in printed
    assert "but" not in printed


def test_the_file_says_what_was_measured_and_how(evaluate, model, folder, tmp_path):
    out = tmp_path / "scores.json"
    code, printed, _ = evaluate("--limit", 2, "--short-side", 32, "--out", out)
    values = json.loads(out.read_text())
    assert code == 0
    assert str(out) in printed
    assert (values["model"], values["benchmark"]) == (str(model), str(folder))
    assert (values["num_pictures"], values["protocol"]) == (2, "ours")
    assert values["deviations"] == [{"name": "short_side", "value": 32, "original": None}]
    assert list(values["scores"]["iou"]) == list(CLASSES)
    assert 0 <= values["scores"]["miou"] <= values["oracles"][1]["miou"] <= 1


def test_deviations_from_the_protocol_are_told(evaluate):
    changes = ("--short-side", 40, "--window", 32, "--templates", "subset", "--limit", 1)
    printed = evaluate("--protocol", "groupvit", *changes)[1]
    told = "short_side 40 instead of 448, window 32 instead of 448, stride 16 instead of 224"
    assert f"protocol groupvit, but {told}, templates 7 instead of 1" in printed


def test_refinement_and_naming_are_told_and_written(evaluate, tmp_path):
    out = tmp_path / "scores.json"
    code, printed, _ = evaluate("--refine", "--naming", "levels", "--limit", 1, "--out", out)
    assert code == 0
    told = "naming levels instead of none, refinement PAMR (10 steps, up to 24 pixels) instead"
    assert told in printed
    assert "words are taken by levels" in printed
    values = json.loads(out.read_text())
    assert values["naming"] == "levels"
    assert evaluate("--limit", 1, "--out", tmp_path / "plain.json")[0] == 0
    plain = json.loads((tmp_path / "plain.json").read_text())
    assert values["oracles"] != plain["oracles"]  # borders of groups are refined too
    refinement = {"steps": 10, "dilations": [1, 2, 4, 8, 12, 24], "contrast": 0.1}
    assert values["deviations"][1] == {"name": "refinement", "value": refinement, "original": None}


def test_a_background_takes_a_threshold(evaluate, folder, tmp_path):
    with_background(folder)
    code, printed, _ = evaluate("--background-threshold", 0.4, "--out", tmp_path / "scores.json")
    assert code == 0
    assert "background" in printed
    assert json.loads((tmp_path / "scores.json").read_text())["background_threshold"] == 0.4
    assert "give a background threshold" in evaluate()[2]


def test_an_untrained_model_is_told(run, folder):
    code, printed, _ = run("evaluate", folder, "--model", "random", "--limit", 1)
    assert code == 0
    assert "untrained" in printed


@pytest.mark.parametrize(
    ("out", "complaint"),
    [
        ("book", "is a folder; name a file in it"),
        ("book/classes.txt", "would be overwritten; choose another --out or pass --overwrite"),
        ("nowhere/scores.json", "lies in a folder that does not exist"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(run, tmp_path, folder, out, complaint):
    code, printed, told = run(
        "evaluate", folder, "--model", "no-such-model", "--out", tmp_path / out
    )
    assert (code, printed) == (2, "")
    assert complaint in told


def test_a_file_is_replaced_if_that_is_asked_for(evaluate, tmp_path):
    out = tmp_path / "scores.json"
    out.write_text("old")
    assert evaluate("--limit", 1, "--out", out, "--overwrite")[0] == 0
    assert json.loads(out.read_text())["num_pictures"] == 1
