import json

import pytest

from tests.data.pairs import write_shards


@pytest.fixture
def shards(tmp_path):
    return write_shards(tmp_path / "pairs", 5, 3)


def test_recall_is_shown_both_ways(run, shards, model):
    code, printed, complaint = run("retrieve", shards, "--model", model)
    assert (code, complaint) == (0, "")
    shown = ("captions by image", "images by caption", "at 10", "median rank")
    for part in (*shown, "8 images, 16 captions"):
        assert part in printed
    assert "damaged" not in printed


def test_the_numbers_go_into_a_file(run, shards, model, tmp_path):
    out = tmp_path / "recall.json"
    assert run("retrieve", shards, "--model", model, "--out", out)[0] == 0
    values = json.loads(out.read_text())
    assert list(values["captions"]["at"]) == ["1", "5", "10"]
    assert (values["num_images"], values["shards"]) == (8, [shards])
    code, _, complaint = run("retrieve", shards, "--model", model, "--out", out)
    assert code == 2
    assert "would be overwritten" in complaint


def test_mistakes_are_told_in_one_sentence(run, shards, model):
    code, _, complaint = run("retrieve", f"{shards}.gone", "--model", model)
    assert code == 2
    assert "Traceback" not in complaint
    assert complaint.count("\n") == 1
