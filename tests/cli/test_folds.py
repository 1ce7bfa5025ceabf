import json

import pytest

from tests.evaluation.folders import with_background, write_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return with_background(write_folder(tmp_path_factory.mktemp("folds") / "book", num=40))


@pytest.fixture
def evaluate(run, model, folder):
    def evaluate(*arguments):
        return run("evaluate", folder, "--model", model, "--others", "others", *arguments)

    return evaluate


def test_a_table_of_folds_stands_beside_its_floors(evaluate, tmp_path):
    code, printed, complaint = evaluate("--folds", "3", "4", "--seen", "--out", tmp_path / "out")
    assert (code, complaint) == (0, "")
    for expected in (
        *("5i over", "fold 3", "fold 4", "mean", "FB-IoU", "name test", "all others"),
        *("all foreground", "center box", "true foreground", "seen classes", "lamp"),
        *("Two labels, «others» (others)", "Not evaluated: fold 0, 1, 2"),
    ):
        assert expected in printed
    values = json.loads((tmp_path / "out/scores.json").read_text())
    means = values["means"]
    assert means["all others"]["miou"] == 0
    assert means["all foreground"]["name_test"] == 1
    assert len(means["model"]["folds"]) == 2
    assert means["model"]["miou"] == pytest.approx(sum(means["model"]["folds"]) / 2)
    html = (tmp_path / "out/report.html").read_text()
    assert html.count("<article") == 8
    assert html.index("center box") < html.index("Name test")
    report = (tmp_path / "out/report.md").read_text()
    assert report.index("| model |") < report.index("- model:")
    assert f"{100 * means['model']['fb_iou']:.1f}" in report
    again = evaluate("--folds", "3", "4", "--seen", "--out", tmp_path / "out")[1]
    assert again == printed
    assert (
        "another others"
        in evaluate(*("--folds", "3", "--others", "dog", "--out", tmp_path / "out"))[2]
    )
    code, printed, _ = evaluate(
        *("--folds", "3", "--others", "dog", "--out", tmp_path / "out", "--overwrite")
    )
    assert (code, "(dog)" in printed) == (0, True)


def test_classes_can_be_held_out_by_name(evaluate):
    code, printed, _ = evaluate("--held-out", "grass", "tree")
    assert code == 0
    assert "held-out classes of" in printed
    assert "fold held-out" in printed


def test_a_model_for_each_fold_is_named_by_a_place_holder(run, folder, model, tmp_path):
    for fold in (0, 1):
        (tmp_path / f"m{fold}").symlink_to(model)
    code, _, _ = run(
        *("evaluate", folder, "--folds", "0", "1", "--others", "others"),
        *("--model", tmp_path / "m{fold}", "--out", tmp_path / "out"),
    )
    assert code == 0
    found = json.loads((tmp_path / "out/scores.json").read_text())["folds"]
    assert [one["model"] for one in found] == [str(tmp_path / "m0"), str(tmp_path / "m1")]
    code, _, complaint = run("evaluate", folder, "--folds", "2", "--model", tmp_path / "m{fold}")
    assert code == 2
    assert "m2" in complaint


def test_candidates_are_compared_on_other_classes(evaluate, model):
    code, printed, _ = evaluate("--folds", "4", "--candidates", model, model)
    assert code == 0
    assert "chosen by the mIoU of the seen classes" in " ".join(printed.split())
    code, printed, _ = evaluate(
        *("--folds", "1", "--as-published", "--thresholds", "0.2", "0.9", "--limit", 3)
    )
    assert code == 0
    assert "the held-out classes, as published" in " ".join(printed.split())
    assert "stretched to 480 pixels" in " ".join(printed.split())


def test_training_sets_are_written_without_a_model(run, folder, tmp_path):
    code, printed, _ = run("evaluate", folder, "--folds", "4", "--sets", tmp_path / "sets")
    assert code == 0
    assert "without chair, lamp" in printed
    assert (tmp_path / "sets/fold-4/training/classes.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--folds", "9"], "--folds '9' is no fold of 5i over"),
        (["--folds", "0", "--held-out", "grass"], "exclude each other"),
        (["--held-out", "gras"], "'gras' is no class"),
        (["--folds", "--limit", "0"], "--limit is 0"),
        (["--folds", "--lists", "nowhere"], "no list nowhere/fold0.txt"),
    ],
)
def test_mistakes_are_explained(evaluate, arguments, expected):
    code, printed, complaint = evaluate(*arguments)
    assert (code, printed) == (2, "")
    assert expected in complaint


def test_published_folds_that_are_missing_are_explained(run, tmp_path):
    for name in ("pascal-5i", "coco-20i"):
        code, _, complaint = run("evaluate", name, "--folds", "--root", tmp_path)
        assert code == 2
        assert "expected" in complaint
    code, _, complaint = run("evaluate", "pascal-5i", "--held-out", "dog", "--root", tmp_path)
    assert "pascal-5i has its own folds" in complaint
