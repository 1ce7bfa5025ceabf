import json

import pytest
from PIL import Image

from tests.data.pairs import sample, write_shards, write_tar


@pytest.fixture
def shards(tmp_path):
    return write_shards(tmp_path / "pairs", 5, 3)


def test_the_tables_tell_what_shards_hold(run, shards):
    code, printed, complaint = run("pairs", shards)
    assert (code, complaint) == (0, "")
    printed = " ".join(printed.split())
    for part in ("shards 2", "samples 8", "captions 16", "captions without nouns 0 (0.0%)"):
        assert part in printed
    for part in ("width, pixels 32 32 32 32", "height, pixels 24 24 24 24", "hill 8"):
        assert part in printed
    assert "damage" not in printed


def test_damage_is_counted_by_kind(run, tmp_path):
    parts = [*sample(0), ("1.jpg", b"no image"), ("1.txt", "a dog"), ("2.txt", "a dog")]
    code, printed, _ = run("pairs", write_tar(tmp_path / "a.tar", parts))
    assert code == 0
    printed = " ".join(printed.split())
    assert "damage: no image 1" in printed
    assert "damage: unreadable images 1 of 2 sampled" in printed


def test_the_same_numbers_go_into_a_file(run, shards, tmp_path):
    assert run("pairs", shards, "--json", tmp_path / "new" / "a.json")[0] == 0
    values = json.loads((tmp_path / "new" / "a.json").read_text())
    assert (values["samples"], values["captions"], values["damage"]) == (8, 16, {})
    assert values["words"]["largest"] == 6
    assert values["nouns"]["hill"] == 8


def test_a_sheet_of_images_is_written(run, shards, tmp_path):
    assert run("pairs", shards, "--sheet", tmp_path / "sheet.png")[0] == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 1500


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["FOLDER/none-{000..002}.tar"], "no shard"),
        (["FOLDER/.."], "is a folder without .tar files"),
        (["FOLDER/train-000.tar", "--sheet", "FOLDER/a.mp3"], "a.mp3 cannot be written"),
        (["FOLDER/train-000.tar", "--json", "FOLDER"], "cannot be written"),
        (["FOLDER/none.tar"], "none.tar; check the path"),
    ],
)
def test_mistakes_are_reported_in_one_sentence(run, shards, tmp_path, arguments, sentence):
    assert shards
    given = [argument.replace("FOLDER", str(tmp_path / "pairs")) for argument in arguments]
    code, _, complaint = run("pairs", *given)
    assert code == 2
    assert sentence in complaint
    assert complaint.count("\n") == 1
