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
        ("a-{008..900000000000}.tar", r"stands for more than 1,000,000 names; check the numbers"),
        ("a-{011..012}.tar", r"^no shard .*a-011\.tar; check the path"),
        ("a-{}.tar", r"no shard .*a-\.tar"),
        ("a-{008..010.tar", "no shard"),
        ("{a,c}-{008..010}.tar", r"no shard .*c-008\.tar"),
        ("*-1{0,1}.tar", r"no shard .*\*-10\.tar"),
        ("none*.tar", r"no shard .*none\*\.tar"),
        ("http://somewhere/a.tar", "no shard"),
    ],
)
def test_the_first_missing_file_is_named(folder, pattern, sentence):
    with pytest.raises(InputError, match=sentence):
        expand([str(folder / pattern)])


def test_shards_must_be_given():
    with pytest.raises(InputError, match="no shards given; name tar files"):
        expand([])


def names(paths):
    return [path.stem for path in paths]


def test_missing_numbers_of_a_range_are_reported_once(folder, caplog):
    assert names(expand([str(folder / "a-{007..012}.tar")])) == ["a-008", "a-009", "a-010"]
    (record,) = caplog.records
    assert "3 of 6 shards of" in record.getMessage()
    assert record.getMessage().endswith("a-007.tar")


def test_a_folder_and_a_glob_give_tar_files_by_name(folder):
    for name in ("a-008.tar.index", ".hidden.tar", "photo.jpg"):
        (folder / name).touch()
    (folder / "below.tar").mkdir()
    assert names(expand([str(folder)])) == ["a-008", "a-009", "a-010", "a-8", "b-008"]
    assert names(expand([str(folder / "a-0*")])) == ["a-008", "a-009", "a-010"]
    assert names(expand([str(folder / "?-{008..009}.tar")])) == ["a-008", "b-008", "a-009"]
    (folder / "more" / "deep").mkdir(parents=True)
    (folder / "more" / "deep" / "b-001.tar").touch()
    assert names(expand([str(folder / "**" / "b-*.tar")])) == ["b-008", "b-001"]


def test_a_folder_without_shards_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"is a folder without \.tar files"):
        expand([str(tmp_path)])


def test_a_file_whose_name_looks_like_a_glob_is_that_file(folder):
    (folder / "[a].tar").touch()
    (folder / "a.tar").touch()
    assert names(expand([str(folder / "[a].tar")])) == ["[a]"]


def test_a_list_names_patterns_relative_to_its_folder(folder):
    listed = folder / "shards.txt"
    listed.write_text(f"# of two\n\na-{{009..010}}.tar\r\n{folder}/b-008.tar\n", encoding="utf-8")
    assert names(expand([str(listed)])) == ["a-009", "a-010", "b-008"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"# nothing\n", r"shards\.txt is empty; name one a line"),
        (b"shards.txt\n", "a list of shards cannot name other lists"),
        (b"a-008.tar\na-000.tar\n", r"no shard .*a-000\.tar"),
        (b"~/none/a.tar\n", r"no shard ~/none/a\.tar"),
        (b"\xff\xfe\xff", r"the list of shards .* cannot be read"),
        (b"x" * (16 * 2**20 + 1), "it is larger than 16,777,216 bytes"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused(folder, content, sentence):
    if content is not None:
        (folder / "shards.txt").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        expand([str(folder / "shards.txt")])
