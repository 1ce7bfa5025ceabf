import pytest

from groupvit.data.patterns import expand
from groupvit.errors import InputError


@pytest.fixture
def folder(tmp_path):
    for name in ("a-008", "a-009", "a-010", "a-8", "b-008"):
        (tmp_path / f"{name}.tar").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a-008.tar", ["a-008"]),
        ("a-{008..010}.tar", ["a-008", "a-009", "a-010"]),
        ("a-{010..008}.tar", ["a-010", "a-009", "a-008"]),
        ("a-{8..8}.tar", ["a-8"]),
        ("{b,a}-008.tar", ["b-008", "a-008"]),
        ("{a,b}-{008..008}.tar", ["a-008", "b-008"]),
        ("a-0{08,10}.tar", ["a-008", "a-010"]),
    ],
)
def test_braces_stand_for_many_files(folder, pattern, names):
    assert expand([str(folder / pattern)]) == tuple(folder / f"{name}.tar" for name in names)


def test_patterns_follow_each_other_and_a_file_may_come_twice(folder):
    a, b = str(folder / "a-8.tar"), str(folder / "b-008.tar")
    assert [str(path) for path in expand([b, a, b])] == [b, a, b]


def test_the_home_folder_is_known(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert expand(["~/a-8.tar"]) == (folder / "a-8.tar",)


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("a-{008..900000000000}.tar", r"^no shard .*a-011\.tar; check the path"),
        ("a-{}.tar", r"no shard .*a-\.tar"),
        ("a-{008..010.tar", "no shard"),
        ("", "is a folder; name the tar files in it"),
        ("http://somewhere/a.tar", "no shard"),
    ],
)
def test_the_first_missing_file_is_named(folder, pattern, sentence):
    with pytest.raises(InputError, match=sentence):
        expand([str(folder / pattern)])


def test_shards_must_be_given():
    with pytest.raises(InputError, match="no shards given; name tar files"):
        expand([])
