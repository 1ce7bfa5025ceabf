import json

import pytest

from groupvit.data import index
from groupvit.data.shards import Reader
from tests.data.pairs import encoded, photo


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.jpg").write_bytes(encoded(photo(number, 60, 80)))
        (folder / f"{number}.txt").write_text(f"a dog, number {number}\nthe dog", encoding="utf-8")
    return folder


def shard(path):
    return index.prepare([path], "pattern")[0]


def test_a_folder_becomes_shards(run, folder, tmp_path):
    code, printed, complaint = run("pack", folder, "--out", tmp_path / "out", "--shard-size", 3)
    assert (code, complaint) == (0, "")
    assert "4 images with 8 captions are now in" in printed
    assert printed.strip().endswith("train-000000.tar to train-000001.tar")
    assert shard(tmp_path / "out" / "train-000000.tar").num_captions == 6


def test_options_reach_the_shards(run, folder, tmp_path):
    options = ("--name", "mine", "--image-size", 30, "--quality", 50, "--shuffle-seed", 3)
    assert run("pack", folder, "--out", tmp_path / "out", *options)[0] == 0
    small = Reader(shard(tmp_path / "out" / "mine-000000.tar")).image(0)
    assert len(small) < min(len(path.read_bytes()) for path in folder.glob("*.jpg"))


def test_a_table_becomes_shards(run, folder, tmp_path):
    (folder / "t.csv").write_text("file,text\n0.jpg,a cat\n0.jpg,the cat\n", encoding="utf-8")
    columns = ("--image-column", "file", "--caption-column", "text")
    assert run("pack", folder / "t.csv", "--out", tmp_path / "out", *columns)[0] == 0
    made = Reader(shard(tmp_path / "out" / "train-000000.tar"))
    assert [caption.text for caption in made.captions(0)] == ["a cat", "the cat"]


def test_captions_of_coco_become_shards(run, folder, tmp_path):
    values = {
        "images": [{"id": 1, "file_name": "2.jpg"}],
        "annotations": [{"image_id": 1, "caption": "a bird"}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(values), encoding="utf-8")
    source = ("--coco", tmp_path / "coco.json", "--images", folder)
    code, printed, _ = run("pack", *source, "--out", tmp_path / "out")
    assert code == 0
    assert "1 images with 1 captions" in printed


def test_images_inside_of_parquet_become_shards(run, folder, tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    images = [{"bytes": (folder / f"{n}.jpg").read_bytes(), "path": None} for n in range(4)]
    images[2]["bytes"] = b"no image"
    (tmp_path / "data").mkdir()
    table = arrow.table({"image": images, "text": [[f"a dog, {n}", "the dog"] for n in range(4)]})
    parquet.write_table(table, tmp_path / "data" / "train.parquet")
    source, out = tmp_path / "data", tmp_path / "out"
    code, printed, _ = run("pack", source, "--out", out, "--caption-column", "text")
    assert code == 0
    assert "3 images with 6 captions" in printed
    skipped = (out / "train.skipped.txt").read_text()
    assert f"{source / 'train.parquet'}, row 3\tits image cannot be read" in skipped
    made = Reader(shard(out / "train-000000.tar"))
    stored = {made.image(n) for n in range(3)}
    assert stored == {(folder / f"{n}.jpg").read_bytes() for n in (0, 1, 3)}
    assert {path.name for path in out.iterdir()} == {
        "train-000000.tar",
        "train-000000.tar.index",
        "train.skipped.txt",
    }


def test_karpathy_files_become_shards(run, folder, tmp_path):
    entries = [
        {"filename": f"{n}.jpg", "split": split, "sentences": [{"raw": f"a dog {n}"}]}
        for n, split in enumerate(("train", "restval", "test"))
    ]
    (tmp_path / "dataset.json").write_text(json.dumps({"images": entries}), encoding="utf-8")
    source = ("--karpathy", tmp_path / "dataset.json", "--images", folder)
    code, printed, _ = run(
        "pack", *source, "--split", "train", "restval", "--out", tmp_path / "out"
    )
    assert code == 0
    assert "2  images of train, restval" in printed
    assert "2 images with 2 captions" in printed


def test_what_is_left_out_is_reported(run, folder, tmp_path):
    (folder / "3.jpg").write_bytes(b"no image")
    code, printed, _ = run("pack", folder, "--out", tmp_path / "out")
    assert code == 0
    assert "1 were skipped;" in printed
    assert "3.jpg" in (tmp_path / "out" / "train.skipped.txt").read_text()


def test_a_table_counts_what_was_read_packed_and_left_out(run, folder, tmp_path):
    rows = ["image,caption", "0.jpg,a dog, brown", "short", "1.jpg,", "2.jpg,a cat", "9.jpg,a cow"]
    (folder / "t.csv").write_text("\n".join(rows), encoding="utf-8")
    code, printed, _ = run("pack", folder / "t.csv", "--out", tmp_path / "out")
    assert code == 0
    lines = [line.split() for line in printed.replace(str(folder), "HERE").splitlines()]
    for line in (
        "read 5 rows",
        "packed 2 images",
        "packed 2 captions",
        "left out 1 row with too few cells: HERE/t.csv, line 3",
        "left out 1 it has no caption: HERE/1.jpg",
        "left out 1 its image file is missing: HERE/9.jpg",
    ):
        assert line.split() in lines
    listed = (tmp_path / "out" / "train.skipped.txt").read_text()
    assert "t.csv, line 3\trow with too few cells: 1 for 2 columns" in listed
    assert len(listed.splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give either a folder or table, or --coco, or --karpathy; one of them"),
        (["FOLDER", "--coco", "x.json"], "give either a folder or table, or --coco"),
        (["--coco", "x.json"], "--coco and --images belong together; give both"),
        (["FOLDER", "--images", "x"], "--images has no effect on a folder; leave it out"),
        (["--karpathy", "x.json"], "--karpathy and --images belong together; give both"),
        (["FOLDER", "--split", "val"], "--split has no effect on a folder; leave it out"),
        (["t.csv", "--delimiter", "||"], "--delimiter is '||'; give one character"),
        (["t.jsonl", "--no-header"], "--no-header has no effect on JSON lines"),
        (["t.csv", "--no-header", "--image-column", "x"], "t.csv cannot be read"),
        (["FOLDER/0.jpg"], "0.jpg is neither a folder nor a table; a table ends in .csv"),
        (["none.csv"], "none.csv cannot be read: No such file"),
        (["FOLDER", "--quality", "0"], "quality is 0; give 1 to 100"),
    ],
)
def test_mistakes_are_reported_in_one_sentence(run, folder, tmp_path, arguments, sentence):
    given = [argument.replace("FOLDER", str(folder)) for argument in arguments]
    code, _, complaint = run("pack", *given, "--out", tmp_path / "out")
    assert code == 2
    assert sentence in complaint
    assert not (tmp_path / "out").exists()


def test_shards_are_not_overwritten_unasked(run, folder, tmp_path):
    assert run("pack", folder, "--out", tmp_path / "out")[0] == 0
    assert run("pack", folder, "--out", tmp_path / "out")[0] == 2
    assert run("pack", folder, "--out", tmp_path / "out", "--overwrite")[0] == 0
