import json
import sys

import pytest

from groupvit.data.pairs import LeftOut, Pair
from groupvit.data.readers.choice import read
from groupvit.data.readers.coco import from_coco
from groupvit.data.readers.config import ReadingConfig
from groupvit.data.readers.folder import from_folder
from groupvit.data.spool import Spool
from groupvit.errors import InputError
from tests.data.pairs import encoded, photo


def from_table(path, **columns):
    with Spool(path.parent / "out", "train") as spool:
        return read(path, ReadingConfig(**columns), spool)


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
    return from_table(folder / name, **named).pairs


def test_a_folder_has_captions_beside_its_images(folder):
    (folder / "b.txt").write_text("a  dog\n\n the dog\n", encoding="utf-8")
    (folder / "trip" / "c.txt").write_text("\ufeffa boat", encoding="utf-8")
    assert from_folder(folder).pairs == [
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
        for pair in from_folder(folder).pairs
    }
    assert pairs == {"b.jpg": ["a dog,red", "the dog"], "c.webp": ["a boat"]}


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="no images"):
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
    found = from_table(folder / "t.parquet", **named)
    assert found.pairs == [Pair(folder / "b.jpg", ("a dog",))]
    assert [one.kind for one in found.left_out] == ["row without an image"]
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
    with pytest.raises(InputError, match=r"b\.jpg is neither a folder nor a table"):
        from_table(folder / "b.jpg", **named)
    (folder / "b.jpg").rename(folder / "b.csv")
    with pytest.raises(InputError, match=r"b\.csv is not UTF-8 text"):
        from_table(folder / "b.csv", **named)


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
    return from_coco(folder / "coco.json", folder).pairs


def test_captions_of_coco_are_put_together_by_image(folder):
    expected = [Pair(folder / "a.png", ("a cat", "the cat")), Pair(folder / "b.jpg", ("a dog",))]
    assert coco(folder) == expected


@pytest.mark.parametrize("name", ["../x.jpg", "/x.jpg", "trip/../../x.jpg"])
def test_coco_cannot_reach_out_of_its_folder(folder, name):
    images = [{"id": 7, "file_name": name}, {"id": 3, "file_name": "a.png"}]
    with pytest.raises(InputError, match=r"x\.jpg, which is outside of"):
        coco(folder, images=images)


def test_annotations_of_unknown_images_are_left_out(folder):
    notes = [{"image_id": 3, "caption": "a cat"}, {"image_id": 99, "caption": "a dog"}]
    coco(folder, annotations=notes)
    path = folder / "coco.json"
    found = from_coco(path, folder)
    assert found.pairs == [Pair(folder / "a.png", ("a cat",))]
    assert found.read == {"images": 2, "annotations": 2}
    assert found.left_out == [
        LeftOut(f"{path}, image_id 99", "annotation of an unknown image"),
        LeftOut(str(folder / "b.jpg"), "image without an annotation"),
    ]


@pytest.mark.parametrize(
    "values",
    [
        {"annotations": [{"id": 1}]},
        {"images": 3},
        {"annotations": [{"image_id": 99}]},
        {"annotations": [{"image_id": [], "caption": "a dog"}]},
    ],
)
def test_other_json_files_are_refused(folder, values):
    with pytest.raises(InputError, match=r"coco\.json is no COCO caption file; it should have"):
        coco(folder, **values)


TWO = {"image_column": "image", "caption_column": "caption"}


def captions(source):
    return {pair.image.name: list(pair.captions) for pair in source.pairs}


def written(folder, name, content):
    (folder / name).write_text(content, encoding="utf-8")
    return from_table(folder / name, **TWO)


@pytest.mark.parametrize(("name", "tab"), [("t.tsv", "\t"), ("t.csv", ",")])
def test_a_quotation_mark_without_its_partner_joins_no_rows(folder, name, tab):
    content = (
        "image,caption\n"
        '0.jpg,"a dog on grass\n'
        "1.jpg,a cat\n"
        '2.jpg,the 12" pizza\n'
        '3.jpg,"quoted" words\n'
        '4.jpg,"a ""red"" dog"\n'
        '5.jpg,"two\nlines"\n'
        '6.jpg,"never closed'
    )
    found = written(folder, name, content.replace(",", tab))
    assert captions(found) == {
        "0.jpg": ['"a dog on grass'],
        "1.jpg": ["a cat"],
        "2.jpg": ['the 12" pizza'],
        "3.jpg": ['"quoted" words'],
        "4.jpg": ['a "red" dog'],
        "5.jpg": ["two lines"],
        "6.jpg": ['"never closed'],
    }
    assert found.read == {"rows": 7}
    assert found.left_out == []


def test_quotation_marks_may_be_escaped_or_follow_a_space(folder):
    content = 'image,caption\n0.jpg,"a \\"red\\" dog, big"\n1.jpg, "a cat, small"\n'
    expected = {"0.jpg": ['a "red" dog, big'], "1.jpg": ["a cat, small"]}
    assert captions(written(folder, "t.csv", content)) == expected


def test_commas_without_quotation_marks_belong_to_the_caption(folder):
    content = "image,caption\n0.jpg,a dog, a cat, and grass\n1.jpg,one bird,\n"
    expected = {"0.jpg": ["a dog, a cat, and grass"], "1.jpg": ["one bird"]}
    assert captions(written(folder, "t.csv", content)) == expected
    content = "caption,image\na dog, a cat, and grass,0.jpg\n"
    assert captions(written(folder, "t.csv", content)) == {"0.jpg": expected["0.jpg"]}


def test_semicolons_may_separate_columns(folder):
    content = 'id;image;caption\n1;b.jpg;a dog, red\n2;a.png;"a cat; the cat"\n'
    assert captions(written(folder, "t.csv", content)) == {
        "b.jpg": ["a dog, red"],
        "a.png": ["a cat; the cat"],
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("b.jpg;a dog, red\n", {"b.jpg": ["a dog, red"]}),
        ("a;b.jpg,a dog\n", {"a;b.jpg": ["a dog"]}),
        ("b.jpg,a dog; red\n", {"b.jpg": ["a dog; red"]}),
    ],
)
def test_the_first_line_of_a_file_of_captions_has_its_delimiter(folder, content, expected):
    (folder / "captions.csv").write_text(content, encoding="utf-8")
    found = captions(from_folder(folder))
    assert {name: texts for name, texts in found.items() if texts} == expected


def test_rows_with_other_numbers_of_cells_are_left_out_with_the_reason(folder):
    content = "n,image,caption\n1,0.jpg\n2,1.jpg,a dog, a cat\n\n3,,a cow\n4,2.jpg,a bird\n"
    found = written(folder, "t.csv", content)
    assert captions(found) == {"2.jpg": ["a bird"]}
    table = folder / "t.csv"
    assert found.left_out == [
        LeftOut(f"{table}, line 2", "row with too few cells", MANY.format(2)),
        LeftOut(f"{table}, line 3", "row with too many cells", MANY.format(4)),
        LeftOut(f"{table}, line 5", "row without an image"),
    ]
    assert found.read == {"rows": 4}


MANY = "{} for 3 columns; put captions in quotation marks"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("['a dog', 'on grass']", ["a dog", "on grass"]),
        ('["a dog", "it\'s grass"]', ["a dog", "it's grass"]),
        ("[]", []),
        ("[a dog]", ["[a dog]"]),
        ("['a dog' 'on grass']", ["['a dog' 'on grass']"]),
        ("[1, 2]", ["[1, 2]"]),
    ],
)
def test_a_written_list_is_several_captions(folder, cell, expected):
    quoted = '"' + cell.replace('"', '""') + '"'
    found = written(folder, "t.csv", f"image,caption\n0.jpg,{quoted}\n")
    assert captions(found) == {"0.jpg": expected}


def test_lists_of_a_parquet_table_are_several_captions(folder):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    lists = [["a dog", "on  grass"], [], None, ["a cat", None]]
    values = {"image": [f"{n}.jpg" for n in range(4)], "caption": lists, "n": [1, 2, 3, 4]}
    parquet.write_table(
        arrow.table(values | {"where": [{"url": "0.jpg"}] * 4}), folder / "t.parquet"
    )
    found = from_table(folder / "t.parquet", **TWO)
    assert captions(found) == {
        "0.jpg": ["a dog", "on grass"],
        "1.jpg": [],
        "2.jpg": [],
        "3.jpg": ["a cat"],
    }
    for columns, sentence in [
        (TWO | {"caption_column": "n"}, "row 1: column 'n' holds a int; it should hold texts"),
        (TWO | {"image_column": "where"}, "row 1: column 'where' holds a dict"),
    ]:
        with pytest.raises(InputError, match=sentence):
            from_table(folder / "t.parquet", **columns)


def test_a_file_of_captions_replaces_no_text_files(folder):
    (folder / "a.txt").write_text("a cat\nthe cat", encoding="utf-8")
    (folder / "b.txt").write_text("a dog\nthe dog", encoding="utf-8")
    (folder / "captions.csv").write_text("image,caption\nb.jpg,a dog\nshort\n", encoding="utf-8")
    found = from_folder(folder)
    assert captions(found) == {"b.jpg": ["a dog", "the dog"], "a.png": ["a cat", "the cat"]}
    assert found.read == {"images": 3, "rows of captions.csv": 1, "caption files": 2}
    assert [(one.where, one.kind) for one in found.left_out] == [
        (f"{folder / 'captions.csv'}, line 3", "row with too few cells"),
        (str(folder / "trip" / "c.webp"), "it has no caption"),
    ]


def test_suffixes_beside_images_may_be_in_upper_case(folder):
    (folder / "b.jpg").rename(folder / "B.JPG")
    (folder / "B.TXT").write_text("a dog", encoding="utf-8")
    assert captions(from_folder(folder))["B.JPG"] == ["a dog"]


def test_a_caption_with_line_breaks_is_one_if_the_metadata_have_it_whole(folder):
    (folder / "b.txt").write_text("two lines\nof a dog", encoding="utf-8")
    (folder / "b.json").write_text(json.dumps({"caption": "two lines\nof a  dog"}))
    (folder / "a.json").write_text(json.dumps({"caption": "a cat"}))
    found = captions(from_folder(folder))
    assert found == {"a.png": ["a cat"], "b.jpg": ["two lines of a dog"], "c.webp": []}


def test_caption_files_of_other_encodings_are_counted(folder):
    (folder / "b.txt").write_bytes("ein schöner Hund".encode("latin-1"))
    (folder / "a.txt").write_bytes("ein schöner Hund".encode("utf-16"))
    (folder / "scan.jxl").touch()
    found = from_folder(folder)
    assert captions(found) == {"a.png": ["ein schöner Hund"], "c.webp": []}
    assert [one.kind for one in found.left_out] == [
        "caption file that is not UTF-8 or cannot be read",
        "files in formats that are not read",
    ]
