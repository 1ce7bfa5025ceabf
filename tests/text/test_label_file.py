import codecs

import pytest

from groupvit.errors import InputError
from groupvit.text.label_file import one_per_line, read_lines, without_numbers


@pytest.mark.parametrize(
    "content",
    [
        "sky\ncaf\u00e9\n\n".encode(),
        codecs.BOM_UTF8 + "sky\r\ncaf\u00e9\r\n".encode(),
        "\ufeffsky\ncaf\u00e9".encode("utf-16-le"),
        "\ufeff sky \r\ncaf\u00e9".encode("utf-16-be"),
    ],
)
def test_lines_are_read_with_and_without_a_byte_order_mark(tmp_path, content):
    file = tmp_path / "labels.txt"
    file.write_bytes(content)
    assert read_lines(file) == ["sky", "caf\u00e9"]


@pytest.mark.parametrize("content", [b"caf\xe9", b"\xff\xfea"])
def test_other_text_is_refused_by_name(tmp_path, content):
    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(InputError, match=r"labels\.txt cannot be read as UTF-8 text"):
        read_lines(tmp_path / "labels.txt")


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path):
    for file in (tmp_path, tmp_path / "none.txt"):
        with pytest.raises(InputError, match=f"{file} cannot be read"):
            read_lines(file)


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (["0: sky", "1: sea"], ["sky", "sea"]),
        (["0:sky", "1\tsea"], ["sky", "sea"]),
        (["00 = sky"], ["sky"]),
        (["sky", "7up", "3 d print"], ["sky", "7up", "3 d print"]),
    ],
)
def test_numbers_before_names_are_left_out(tmp_path, lines, names):
    assert without_numbers(lines, tmp_path / "classes.txt") == names


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["1: sky", "2: sea"], "line 1 is '1: sky', .* number every line from 0, here 0: NAME"),
        (["0: sky", "sea"], "line 2 is 'sea', .* here 1: NAME, or none"),
        (["0: sky", "255: sea"], "line 2 is '255: sea'"),
    ],
)
def test_other_numbers_are_refused(tmp_path, lines, sentence):
    with pytest.raises(InputError, match=sentence):
        without_numbers(lines, tmp_path / "classes.txt")


def test_a_line_with_several_labels_is_refused_where_lines_are_classes(tmp_path):
    file = tmp_path / "classes.txt"
    assert one_per_line(['0: "salt, pepper"', "1: door|double door"], file) == [
        '"salt, pepper"',
        "door|double door",
    ]
    with pytest.raises(InputError, match="line 2 is 'door, double door', and commas separate"):
        one_per_line(["sky", "door, double door"], file)
