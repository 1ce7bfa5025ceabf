import json

import numpy as np
import pytest
from PIL import Image

from groupvit.evaluation.benchmarks.published import PUBLISHED
from groupvit.model.inference import InferenceConfig
from groupvit.storybook.scene import CLASSES
from groupvit.weights import catalogue
from tests.evaluation.benchmarks import layouts
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
    assert "but" not in printed[printed.index("protocol ours") :]


def test_the_folder_says_what_was_measured_and_how(evaluate, model, folder, tmp_path):
    out = tmp_path / "out"
    code, printed, _ = evaluate("--limit", 2, "--short-side", 32, "--out", out)
    values = json.loads((out / "scores.json").read_text())
    assert code == 0
    assert str(out / "report.html") in printed
    assert (values["model"], values["benchmark"]) == (str(model), str(folder))
    assert (values["num_images"], values["protocol"]) == (2, "ours")
    assert [one["name"] for one in values["deviations"]] == ["short_side"]
    assert list(values["scores"]["iou"]) == list(CLASSES)
    assert 0 <= values["scores"]["miou"] <= values["oracles"][1]["miou"] <= 1
    names = {"images-0.jsonl", "report.html", "report.md", "scores.json"}
    assert {path.name for path in out.iterdir()} == names
    told = f"| mIoU | {100 * values['scores']['miou']:.1f} |"
    assert told in (out / "report.md").read_text()
    assert (out / "report.html").read_text().count("<article") == 2


def test_floors_are_printed_unless_they_are_unwanted(evaluate, tmp_path):
    printed = evaluate("--out", tmp_path)[1]
    for expected in ("everywhere", "floor: oracle of blind grid", "Stage 2: the groups ("):
        assert expected in printed
    [first, last] = json.loads((tmp_path / "scores.json").read_text())["floors"]
    assert first["num_parts"] >= 1
    assert set(last["floors"]) == {"blind grid", "color and place"}
    printed = evaluate("--no-floors")[1]
    assert "everywhere" in printed
    assert "blind grid" not in printed
    assert "exclude each other" in evaluate("--floors", "--no-floors")[2]


def test_a_run_that_was_done_is_not_done_again(evaluate, tmp_path):
    evaluate("--limit", 2, "--out", tmp_path / "out")
    code, printed, _ = evaluate("--out", tmp_path / "out")
    assert code == 0
    assert "1 in" in printed
    assert "2 from the journal" in " ".join(printed.split())


def test_another_measurement_needs_another_folder_or_leave(evaluate, tmp_path):
    evaluate("--limit", 1, "--out", tmp_path)
    code, printed, told = evaluate("--limit", 1, "--short-side", 32, "--out", tmp_path)
    assert (code, printed) == (2, "")
    assert "is of an evaluation with another deviations; choose another --out" in told
    (tmp_path / "mine.txt").write_text("stays")
    assert evaluate("--limit", 1, "--short-side", 32, "--out", tmp_path, "--overwrite")[0] == 0
    assert json.loads((tmp_path / "scores.json").read_text())["deviations"]
    assert (tmp_path / "mine.txt").read_text() == "stays"


def test_a_page_may_be_without_images(evaluate, tmp_path):
    assert evaluate("--limit", 1, "--shown", 0, "--out", tmp_path)[0] == 0
    assert "<article" not in (tmp_path / "report.html").read_text()
    assert "give at least 0" in evaluate("--shown", -1)[2]


def test_images_masks_and_classes_may_lie_anywhere(run, model, folder):
    parts = ("--images", folder / "images", "--masks", folder / "masks")
    code, printed, _ = run(
        "evaluate", *parts, "--classes", folder / "classes.txt", "--model", model
    )
    assert code == 0
    assert "3 in" in printed
    told = run("evaluate", *parts, "--model", model)[2]
    assert "--images, --masks and --classes belong together" in told


def test_the_storybook_needs_no_files(run, model):
    for name in ("storybook", "storybook-things"):
        code, printed, _ = run("evaluate", name, "--scenes", 2, "--model", model)
        assert code == 0
        assert ("background below 0.5" in printed) == (name == "storybook-things")


def test_all_benchmarks_are_listed_with_what_is_there(run, tmp_path):
    layouts.voc(tmp_path, [0, 1])
    code, printed, _ = run("evaluate", "--list", "--root", tmp_path)
    assert code == 0
    for key, one in PUBLISHED.items():
        assert f"{key}  {one.title}, {len(one.labels)} classes" in printed
        assert one.source in printed
    assert printed.count(": 2 images") == 2
    assert printed.count(f"not under {tmp_path}/") == 6


def test_a_published_benchmark_is_found_under_its_root(run, model, tmp_path):
    layouts.voc(tmp_path, [0, 1])
    code, printed, _ = run("evaluate", "voc", "--root", tmp_path, "--model", model)
    assert code == 0
    assert "aeroplane" in printed


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ((), "name a BENCHMARK: a folder, or a key that --list shows"),
        (("nowhere",), "no folder nowhere, and no benchmark of that name; known are voc, voc20"),
        (("ade20k", "--root", "nowhere"), "ADE20K val is expected as nowhere/ade/ADEChallenge"),
    ],
)
def test_what_is_no_benchmark_is_answered_before_a_model_is_loaded(run, name, complaint):
    code, _, told = run("evaluate", *name, "--model", "no-such-model")
    assert code == 2
    assert complaint in told


def test_deviations_from_the_protocol_are_told(evaluate):
    changes = ("--short-side", 40, "--window", 32, "--templates", "subset", "--limit", 1)
    printed = evaluate("--protocol", "groupvit", *changes)[1]
    told = "short_side 40 instead of 448, window 32 instead of 448, stride 16 instead of 224"
    assert f"protocol groupvit, but {told}, templates 7 instead of 1" in printed


def test_refinement_and_naming_are_told_and_written(evaluate, tmp_path):
    out = tmp_path / "refined"
    code, printed, _ = evaluate("--refine", "--naming", "levels", "--limit", 1, "--out", out)
    assert code == 0
    told = "naming levels instead of segments, refinement PAMR (10 steps, up to 24 pixels) instead"
    assert told in printed
    assert "naming by levels" in printed
    values = json.loads((out / "scores.json").read_text())
    assert values["naming"] == "levels"
    assert evaluate("--limit", 1, "--out", tmp_path / "plain")[0] == 0
    plain = json.loads((tmp_path / "plain/scores.json").read_text())
    assert values["oracles"] != plain["oracles"]  # borders of groups are refined too
    refinement = {
        "steps": 10,
        "dilations": [1, 2, 4, 8, 12, 24],
        "contrast": 0.1,
        "resolution": 1.0,
    }
    found = values["deviations"][1]
    assert (found["name"], found["value"], found["original"]) == ("refinement", refinement, None)


def test_refinement_that_a_model_recommends_can_be_turned_off(evaluate, monkeypatch):
    recommended = InferenceConfig(refinement=True)
    load = catalogue.load
    monkeypatch.setattr(
        catalogue, "load", lambda *a, **k: load(*a, **k)._replace(inference=recommended)
    )
    assert "refinement" not in evaluate("--limit", 1)[1]
    printed = evaluate("--no-refine", "--limit", 1)[1]
    assert "refinement none instead of PAMR (10 steps, up to 24 pixels)" in printed
    code, _, complaint = evaluate("--no-refine", "--refine")
    assert code == 2
    assert "--refine and --no-refine exclude each other" in complaint
    assert "protocol quick" in evaluate("--protocol", "quick", "--limit", 1)[1]


def test_a_background_may_take_another_threshold(evaluate, folder, tmp_path):
    with_background(folder)
    for given, threshold in (((), 0.5), (("--background-threshold", 0.4), 0.4)):
        code, printed, _ = evaluate(*given, "--out", tmp_path / str(threshold))
        assert code == 0
        assert f"background below {threshold}" in printed
        values = json.loads((tmp_path / str(threshold) / "scores.json").read_text())
        assert values["background_threshold"] == threshold


def test_an_untrained_model_is_told(run, folder):
    code, printed, _ = run("evaluate", folder, "--model", "random", "--limit", 1)
    assert code == 0
    assert "untrained" in printed


def test_a_folder_that_cannot_be_written_is_named(evaluate, folder):
    code, printed, told = evaluate("--out", folder / "classes.txt")
    assert (code, printed) == (2, "")
    assert "classes.txt cannot be written" in told


def test_groups_may_be_clusters_instead(evaluate):
    code, printed, _ = evaluate("--clusters", "kmeans", "--num-clusters", 3)
    assert code == 0
    assert "naming by clusters (kmeans, 3 groups)" in printed
    assert "oracle of stage 2" not in printed


def test_masks_of_0_and_255_stop_all_commands_that_read_masks(run, model, folder, tmp_path):
    for mask in (folder / "masks").iterdir():
        values = np.asarray(Image.open(mask))
        Image.fromarray(np.where(values > np.median(values), 255, 0).astype(np.uint8)).save(mask)
    (folder / "classes.txt").write_text("background\ntree\n")
    commands = [
        ("evaluate", folder),
        ("calibrate", folder, "--out", tmp_path / "b.json"),
        ("learn-background", folder, tmp_path / "learned"),
    ]
    for command in commands:
        code, printed, complaint = run(*command, "--model", model)
        assert (code, printed, complaint.count("\n")) == (2, "", 1)
        assert "in no mask: tree" in complaint
        assert "pass --mask-values 0=background 255=tree, and if not" in complaint
        code, printed, complaint = run(
            *command, "--model", model, "--mask-values", "0=background", "255=tree"
        )
        assert (code, complaint) == (0, "")
        assert "masks: values 0 (" in printed
        assert "ignored: 0.0%" in printed
    code, _, complaint = run("evaluate", "storybook", "--model", model, "--mask-values", "0=sky")
    assert (code, "those of storybook are known" in complaint) == (2, True)
