import json

import pytest


@pytest.fixture
def classes(photos):
    """Folders of two classes."""
    (photos / "bird_nest").mkdir()
    (photos / "dog.jpg").rename(photos / "bird_nest/dog.jpg")
    return photos


def test_accuracy_is_shown_and_written(run, classes, model, tmp_path):
    out = tmp_path / "numbers.json"
    code, printed, complaint = run("classify", classes, "--model", model, "--out", out)
    assert (code, complaint) == (0, "")
    for told in ("top 1", "top 5", "images", "worst", str(out)):
        assert told in printed
    values = json.loads(out.read_text())
    assert set(values["by_class"]) == {"bird nest", "trip"}
    assert (values["num_images"], values["names"]) == (2, "folders")
    assert "would be overwritten" in run("classify", classes, "--model", model, "--out", out)[2]


def test_names_may_come_from_a_file(run, classes, model, tmp_path):
    (tmp_path / "names.txt").write_text("a nest\na journey\n")
    out = tmp_path / "numbers.json"
    names = ("--names", tmp_path / "names.txt")
    assert run("classify", classes, "--model", model, *names, "--out", out)[0] == 0
    assert set(json.loads(out.read_text())["by_class"]) == {"a nest", "a journey"}


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ("imagenet", "the list of ImageNet has 1,000 names, but there are 2 folders"),
        ("nowhere.txt", "--names 'nowhere.txt' is neither folders, nor imagenet, nor a text file"),
    ],
)
def test_names_that_do_not_fit_are_refused(run, classes, names, complaint):
    code, _, told = run("classify", classes, "--model", "no-such-model", "--names", names)
    assert code == 2
    assert complaint in told
