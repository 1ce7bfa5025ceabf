"""Readers of the layouts of published data sets, with damaged and hostile files too."""

import json
import sys
from pathlib import Path

import pytest

from groupvit.data.pairs import LeftOut, Pair
from groupvit.data.readers.choice import read
from groupvit.data.readers.config import ReadingConfig
from groupvit.data.spool import Spool
from groupvit.errors import InputError
from groupvit.values import MAX_DEPTH
from tests.data.pairs import encoded, photo

DEEP = "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "trip/c.png"):
        (folder / name).touch()
    return folder


def found(source, **config):
    with Spool((source or config["images"]).parent / "out", "train") as spool:
        return read(source, ReadingConfig(**config), spool)


def captions(source):
    return {pair.image.name: list(pair.captions) for pair in source.pairs}


def reasons(source):
    return [(one.where.rpartition(", ")[2], one.kind) for one in source.left_out]


def write(path, *lines):
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_captions_in_json_may_have_another_key_and_be_several(folder):
    write(folder / "a.json", json.dumps({"caption": "no", "alt": ["a dog", " the  dog", "", 3]}))
    write(folder / "b.json", json.dumps({"alt": "a cat"}))
    write(folder / "trip/c.json", json.dumps({"alt": {"text": "a boat"}}))
    assert captions(found(folder, caption_key="alt")) == {
        "a.jpg": ["a dog", "the dog"],
        "b.jpg": ["a cat"],
        "c.png": [],
    }


def test_damaged_or_deep_json_has_no_caption(folder):
    write(folder / "a.json", "{")
    write(folder / "b.json", f'{{"caption": {DEEP}}}')
    write(folder / "trip/c.json", "[1]")
    assert captions(found(folder)) == {"a.jpg": [], "b.jpg": [], "c.png": []}


def test_metadata_of_an_image_folder_name_images_and_captions(folder):
    write(
        folder / "metadata.jsonl",
        json.dumps({"file_name": "a.jpg", "text": "a dog"}),
        "",
        json.dumps({"file_name": "trip/c.png", "text": ["a boat", "the boat"], "n": 1}),
        json.dumps({"file_name": "a.jpg", "text": "the dog"}),
    )
    one = found(folder, caption_key="text")
    assert one.pairs == [
        Pair(folder / "a.jpg", ("a dog", "the dog")),
        Pair(folder / "trip/c.png", ("a boat", "the boat")),
    ]
    assert one.read == {"images": 3, "lines of metadata.jsonl": 3}
    assert one.left_out == [LeftOut(str(folder / "b.jpg"), "it has no caption")]


def test_metadata_of_an_image_folder_may_be_a_table(folder):
    write(folder / "metadata.csv", "file_name,text", "a.jpg,a dog", "b.jpg,a cat")
    assert captions(found(folder, caption_key="text")) == {"a.jpg": ["a dog"], "b.jpg": ["a cat"]}


def test_lines_that_are_malformed_or_lead_elsewhere_are_left_out(folder):
    path = write(
        folder / "pairs.jsonl",
        '{"file_name": "a.jpg", "caption": "a dog"}',
        "{",
        "[]",
        '{"caption": "no image"}',
        '{"file_name": 3, "caption": "no name"}',
        '{"file_name": "../x.jpg", "caption": "outside"}',
        '{"file_name": "/etc/passwd", "caption": "outside"}',
        json.dumps({"file_name": "x\0.jpg", "caption": "no path"}),
        json.dumps({"file_name": "x" * 5000, "caption": "no path"}),
        '{"file_name": "b.jpg", "caption": 3}',
        f'{{"file_name": "b.jpg", "caption": {DEEP}}}',
        f'{{"file_name": "b.jpg", "caption": {"9" * 5000}}}',
        '{"file_name": "b.jpg", "caption": null}',
    )
    one = found(path)
    assert captions(one) == {"a.jpg": ["a dog"], "x" * 5000: ["no path"], "b.jpg": []}
    kinds = dict(reasons(one))
    assert kinds["line 2"] == kinds["line 3"] == "line that is no JSON object"
    assert kinds["line 4"] == kinds["line 5"] == "row without an image"
    assert all(kinds[f"line {n}"] == "row with an image outside of its folder" for n in (6, 7, 8))
    assert kinds["line 10"] == "row whose caption is no text"
    assert kinds["line 11"] == kinds["line 12"] == "line that is no JSON object"
    assert one.read == {"lines of pairs.jsonl": 13}


def test_json_lines_without_the_key_name_those_they_have(folder):
    path = write(folder / "pairs.jsonl", '{"file_name": "a.jpg", "text": "a dog"}')
    with pytest.raises(
        InputError, match=r"no key 'caption'; its first line has 'file_name', 'text'"
    ):
        found(path)
    assert captions(found(path, caption_key="text")) == {"a.jpg": ["a dog"]}
    path = write(folder / "pairs.jsonl", '{"img": "a.jpg", "caption": "a dog"}')
    assert captions(found(path, image_column="img")) == {"a.jpg": ["a dog"]}


def karpathy(folder, *images, **config):
    path = folder / "dataset.json"
    path.write_text(json.dumps({"images": images, "dataset": "flickr8k"}), encoding="utf-8")
    return found(None, karpathy=path, images=folder, **config)


def entry(name, split, *texts, **more):
    sentences = [{"raw": text, "tokens": text.split()} for text in texts]
    return {"filename": name, "split": split, "sentences": sentences} | more


def test_karpathy_files_have_splits(folder):
    images = [
        entry("a.jpg", "train", "a dog", "the dog "),
        entry("b.jpg", "test", "a cat"),
        entry("c.png", "restval", "a boat", filepath="trip"),
        entry("d.jpg", "restval", "a cow", filepath="val2014"),
    ]
    one = karpathy(folder, *images)
    assert one.pairs == [Pair(folder / "a.jpg", ("a dog", "the dog"))]
    assert one.read == {"images": 4, "images of train": 1}
    both = karpathy(folder, *images, split=("train", "restval"))
    assert [pair.image for pair in both.pairs] == [
        folder / "a.jpg",
        folder / "trip/c.png",
        folder / "d.jpg",
    ]
    with pytest.raises(InputError, match="has no split 'trian'; it has restval, test, train"):
        karpathy(folder, *images, split=("trian",))


def test_malformed_entries_of_karpathy_are_left_out(folder):
    one = karpathy(
        folder,
        entry("a.jpg", "train", "a dog"),
        3,
        {"filename": "b.jpg", "split": "train"},
        entry("b.jpg", "train") | {"sentences": [{"tokens": ["a", "cat"]}]},
        entry("../x.jpg", "train", "outside"),
        entry("b.jpg", "train", "outside", filepath="../photos/../.."),
        entry("", "train", "no name"),
    )
    assert captions(one) == {"a.jpg": ["a dog"], "b.jpg": ["outside"]}
    assert [pair.image for pair in one.pairs] == [folder / "a.jpg", folder / "b.jpg"]
    malformed = "entry without filename, split or sentences"
    assert reasons(one) == [
        ("image 1", malformed),
        ("image 2", malformed),
        ("image 3", malformed),
        ("image 4", "row with an image outside of its folder"),
        ("image 6", malformed),
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", r"dataset\.json is no JSON file"),
        (DEEP, "lists or tables lie inside each other"),
        ("[]", "is no caption file of Karpathy; it should have a list of images"),
        ('{"images": {}}', "is no caption file of Karpathy"),
        ('{"images": []}', "has no split 'train'; it has none"),
        (None, "cannot be read: No such file"),
    ],
)
def test_other_files_than_karpathy_are_refused(folder, content, sentence):
    if content is not None:
        write(folder / "dataset.json", content)
    with pytest.raises(InputError, match=sentence):
        found(None, karpathy=folder / "dataset.json", images=folder)


def test_token_files_have_a_caption_on_each_line(folder, tmp_path):
    path = write(
        tmp_path / "Flickr8k.token.txt",
        "a.jpg#0\tA dog , running .",
        "b.jpg.1#0\tA cat .",
        "",
        "a.jpg#1\tThe dog\tand grass .",
        "a.jpg\tno number",
        "a.jpg#2 no tab",
        "#0\tno image",
        "../x.jpg#0\toutside",
    )
    one = found(path, images=folder)
    assert captions(one) == {
        "a.jpg": ["A dog , running .", "The dog and grass ."],
        "b.jpg.1": ["A cat ."],
    }
    assert one.read == {"lines": 7}
    malformed = "line without image, number and caption"
    assert reasons(one) == [
        ("line 5", malformed),
        ("line 6", malformed),
        ("line 7", malformed),
        ("line 8", "row with an image outside of its folder"),
    ]


def test_a_table_may_have_any_separator(folder):
    path = write(
        folder / "results.csv", "image_name| n| comment", "a.jpg| 0| a dog, red", "b.jpg|1|x"
    )
    columns = {"image_column": "image_name", "caption_column": "comment"}
    assert captions(found(path, delimiter="|", **columns)) == {
        "a.jpg": ["a dog, red"],
        "b.jpg": ["x"],
    }
    path = write(folder / "t.csv", "image,with comma\tcaption", "a.jpg\ta dog")
    columns = {"image_column": "image,with comma"}
    for delimiter in ("tab", "\\t", "\t", None):
        assert captions(found(path, delimiter=delimiter, **columns)) == {"a.jpg": ["a dog"]}


@pytest.mark.parametrize("delimiter", ["", "||", '"', "\n", "\0"])
def test_a_separator_is_one_character(folder, delimiter):
    path = write(folder / "t.csv", "image,caption", "a.jpg,a dog")
    with pytest.raises(InputError, match=r"give one character, such as '\|', or tab"):
        found(path, delimiter=delimiter)


def test_a_table_without_header_has_numbered_columns(folder):
    path = write(folder / "t.csv", "a.jpg,a dog", "b.jpg,a cat, and grass", "short")
    one = found(path, no_header=True)
    assert captions(one) == {"a.jpg": ["a dog"], "b.jpg": ["a cat, and grass"]}
    assert reasons(one) == [("line 3", "row with too few cells")]
    path = write(folder / "t.csv", "1|a dog|x|a.jpg", "2|a cat|y|b.jpg", "3|a|cow|z|c.jpg")
    columns = {"image_column": "4", "caption_column": "2"}
    one = found(path, no_header=True, delimiter="|", **columns)
    assert captions(one) == {"a.jpg": ["a dog"], "b.jpg": ["a cat"]}
    assert reasons(one) == [("line 3", "row with too many cells")]


@pytest.mark.parametrize(
    ("lines", "columns", "sentence"),
    [
        (["a.jpg,a dog"], {"caption_column": "3"}, "has no column '3'; it has '1', '2'"),
        (["a.jpg,a dog"], {"image_column": "image"}, "column 'image' of a table without header"),
        (["a.jpg,a dog"], {"image_column": "0"}, "column '0' of a table without header"),
        (["a.jpg,a dog"], {"image_column": "9" * 5000}, "of a table without header"),
        ([], {}, "has no column '1'"),
        (["short"], {}, "has no column '2'; it has '1'"),
        (["a.jpg,a dog"], {"image_column": "\u0661"}, "of a table without header"),
    ],
)
def test_wrong_numbers_of_columns_are_refused(folder, lines, columns, sentence):
    with pytest.raises(InputError, match=sentence):
        found(write(folder / "t.csv", *lines), no_header=True, **columns)


def test_images_may_lie_in_another_folder_than_a_table(folder, tmp_path):
    path = write(tmp_path / "t.csv", "image,caption", "a.jpg,a dog")
    assert found(path, images=folder).pairs == [Pair(folder / "a.jpg", ("a dog",))]


@pytest.fixture
def parquet(tmp_path):
    """Writes a Parquet table of these columns."""
    arrow, module = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")

    def parquet(name="t.parquet", **columns):
        path = tmp_path / "tables" / name
        path.parent.mkdir(exist_ok=True)
        module.write_table(arrow.table(columns), path, row_group_size=2)
        return path

    return parquet


def test_images_inside_of_parquet_are_read(parquet, tmp_path):
    one, other = encoded(photo(1)), encoded(photo(2), "PNG")
    images = [{"bytes": data, "path": name} for data, name in [(one, "x.jpg"), (other, None)]]
    images += [{"bytes": one, "path": "y.jpg"}, None, {"bytes": None, "path": "z.jpg"}]
    texts = [["a dog", "the dog"], ["a cat"], ["a  wolf"], ["nothing"], ["a boat"]]
    path = parquet(image=images, text=texts)
    with Spool(tmp_path / "out", "train") as spool:
        got = read(path, ReadingConfig(caption_column="text"), spool)
        first, second, third = got.pairs
        assert (first.image.read(), second.image.read()) == (one, other)
        assert (str(first.image), str(second.image)) == (f"{path}, row 1", f"{path}, row 2")
        assert first.captions == ("a dog", "the dog", "a wolf")
        assert third == Pair(path.parent / "z.jpg", ("a boat",))
        assert reasons(got) == [("row 4", "row without an image")]
    assert list((tmp_path / "out").iterdir()) == []


def test_bytes_alone_are_images_too(parquet, tmp_path, monkeypatch):
    monkeypatch.setattr("groupvit.data.readers.parquet.LARGEST_IMAGE", 3)
    path = parquet(image=[b"abc", b"", b"abcd"], caption=["a dog", "a cat", "a cow"])
    with Spool(tmp_path / "out", "train") as spool:
        got = read(path, ReadingConfig(), spool)
        assert [pair.image.read() for pair in got.pairs] == [b"abc"]
    assert got.left_out == [
        LeftOut(f"{path}, row 2", "row without an image"),
        LeftOut(f"{path}, row 3", "its image file is too large", "it has 4 bytes"),
    ]


def test_a_folder_of_parquet_tables_is_one_source(parquet):
    path = parquet("b.parquet", image=["b.jpg"], caption=["a cat"])
    parquet("a.parquet", image=["a.jpg"], caption=["a dog"])
    one = found(path.parent)
    assert [pair.image for pair in one.pairs] == [path.parent / "a.jpg", path.parent / "b.jpg"]
    assert one.read == {"rows": 2}


def test_a_table_of_paths_needs_no_temporary_file(parquet, tmp_path):
    found(parquet(image=["b.jpg"], caption=["a cat"]))
    assert not Path(tmp_path / "tables" / "out").exists()


def test_without_pyarrow_a_folder_of_tables_names_the_way_out(parquet, monkeypatch):
    path = parquet(image=["b.jpg"], caption=["a cat"])
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match="install it with: pip install pyarrow"):
        found(path.parent)


def test_a_disk_that_refuses_is_named(tmp_path):
    (tmp_path / "out").write_text("a file")
    with (
        Spool(tmp_path / "out", "train") as spool,
        pytest.raises(InputError, match="out cannot be"),
    ):
        spool.add("a.jpg", b"abc")
