import json
import sys

import pytest

from groupvit.data.sources import Pair, from_coco, from_folder, from_table
from groupvit.errors import InputError
from tests.data.pairs import encoded, photo


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    for name in ("b.jpg", "a.png", "trip/c.webp"):
        (folder / name).write_bytes(encoded(photo()))
    return folder


def table(folder, content, name="table.csv", **columns):
    (folder / name).write_text(content, encoding="utf-8")
    named = {"image_column": "image", "caption_column": "caption"} | columns
    return from_table(folder / name, **named)


def test_a_folder_has_captions_beside_its_images(folder):
    (folder / "b.txt").write_text("a  dog\n\n the dog\n", encoding="utf-8")
    (folder / "trip" / "c.txt").write_text("\ufeffa boat", encoding="utf-8")
    assert from_folder(folder) == [
        Pair(folder / "a.png", ()),
        Pair(folder / "b.jpg", ("a dog", "the dog")),
        Pair(folder / "trip" / "c.webp", ("a boat",)),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("captions.txt", 'image,caption\nb.jpg,"a dog, red"\nb.jpg,the dog\ntrip/c.webp,a boat\n'),
        ("captions.csv", "b.jpg,a dog, red\ntrip/c.webp,a boat\r\nb.jpg,the dog"),
        ("captions.txt", "b.jpg\ta dog, red\n\nb.jpg\tthe dog\ntrip/c.webp\ta boat\n"),
    ],
)
def test_a_folder_may_have_one_file_of_captions(folder, name, content):
    (folder / name).write_text(content, encoding="utf-8")
    pairs = {
        pair.image.name: [c.replace(", ", ",") for c in pair.captions]
        for pair in from_folder(folder)
    }
    assert pairs == {"b.jpg": ["a dog,red", "the dog"], "c.webp": ["a boat"]}


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="no JPEG, PNG or WebP images"):
        from_folder(tmp_path)


def test_rows_of_a_table_are_put_together_by_image(folder):
    content = 'n,image,caption\n1,b.jpg,"a dog,\nred"\n2,a.png,a cat\n3,b.jpg,the dog\n4,x\n'
    assert table(folder, content) == [
        Pair(folder / "b.jpg", ("a dog, red", "the dog")),
        Pair(folder / "a.png", ("a cat",)),
    ]


def test_columns_may_have_other_names_and_tabs_between(folder):
    content = 'text\tfile\na "red" dog\tb.jpg\n'
    pairs = table(folder, content, "t.tsv", image_column="file", caption_column="text")
    assert pairs == [Pair(folder / "b.jpg", ('a "red" dog',))]


def test_paths_of_a_table_may_be_absolute(folder, tmp_path):
    assert table(tmp_path, f"image,caption\n{folder}/b.jpg,dog\n")[0].image == folder / "b.jpg"


def test_a_parquet_table_is_read_too(folder):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {"image": ["b.jpg", None, "b.jpg"], "caption": ["a dog", "x", None], "n": [1, 2, 3]}
    parquet.write_table(arrow.table(columns), folder / "t.parquet")
    named = {"image_column": "image", "caption_column": "caption"}
    assert from_table(folder / "t.parquet", **named) == [Pair(folder / "b.jpg", ("a dog",))]
    with pytest.raises(InputError, match="has no column 'file'; it has 'image', 'caption', 'n'"):
        from_table(folder / "t.parquet", image_column="file", caption_column="caption")
    (folder / "t.parquet").write_bytes(b"no table")
    with pytest.raises(InputError, match=r"t\.parquet is no Parquet table"):
        from_table(folder / "t.parquet", **named)


def test_without_pyarrow_the_way_out_is_reported(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match="which is missing; install it with: pip install pyarrow"):
        table(folder, "", "t.parquet")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", r"has no column 'image'; it has \. Name yours with --image-column"),
        ("file,caption\nb.jpg,x\n", "has no column 'image'; it has 'file', 'caption'"),
        ("image,text\nb.jpg,x\n", "has no column 'caption'"),
        ('image,caption\nb.jpg,"' + "x" * 200_000, "line 2: field larger .* quotation marks"),
    ],
)
def test_a_table_that_cannot_be_read_is_reported(folder, content, sentence):
    with pytest.raises(InputError, match=sentence):
        table(folder, content)


def test_a_missing_or_foreign_table_is_reported(folder):
    named = {"image_column": "image", "caption_column": "caption"}
    with pytest.raises(InputError, match=r"none\.csv cannot be read: No such file"):
        from_table(folder / "none.csv", **named)
    with pytest.raises(InputError, match=r"b\.jpg is not UTF-8 text"):
        from_table(folder / "b.jpg", **named)


def coco(folder, **values):
    whole = {
        "images": [{"id": 7, "file_name": "b.jpg"}, {"id": 3, "file_name": "a.png"}],
        "annotations": [
            {"image_id": 3, "caption": "a cat\n"},
            {"image_id": 7, "caption": "a dog"},
            {"image_id": 3, "caption": "the cat"},
        ],
    }
    (folder / "coco.json").write_text(json.dumps(whole | values), encoding="utf-8")
    return from_coco(folder / "coco.json", folder)


def test_captions_of_coco_are_put_together_by_image(folder):
    expected = [Pair(folder / "a.png", ("a cat", "the cat")), Pair(folder / "b.jpg", ("a dog",))]
    assert coco(folder) == expected


@pytest.mark.parametrize("name", ["../x.jpg", "/x.jpg", "trip/../../x.jpg"])
def test_coco_cannot_reach_out_of_its_folder(folder, name):
    images = [{"id": 7, "file_name": name}, {"id": 3, "file_name": "a.png"}]
    with pytest.raises(InputError, match=r"x\.jpg, which is outside of"):
        coco(folder, images=images)


@pytest.mark.parametrize(
    "values", [{"annotations": [{"id": 1}]}, {"images": 3}, {"annotations": [{"image_id": 99}]}]
)
def test_other_json_files_are_refused(folder, values):
    with pytest.raises(InputError, match=r"coco\.json is no COCO caption file; it should have"):
        coco(folder, **values)
