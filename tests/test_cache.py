"""Files that are kept between runs."""

import os
import time

import pytest

from groupvit import cache
from groupvit.errors import InputError

KEY, OTHER = "0" * 32, "1" * 32


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("GROUPVIT_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def keep(kind, key, size=1):
    with cache.new(kind, key) as path:
        path.write_bytes(b"x" * size)


def test_a_file_is_found_again(place):
    assert cache.find("words", KEY) is None
    keep("words", KEY)
    assert cache.find("words", KEY).read_bytes() == b"x"
    assert cache.find("words", OTHER) is None
    assert cache.find("encoders", KEY) is None
    assert cache.find("words", KEY).parent == place


def test_a_failure_keeps_nothing(place):
    def failing():
        with cache.new("words", KEY) as path:
            path.write_bytes(b"x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert list(place.iterdir()) == []


def test_the_least_recently_used_is_deleted_and_nothing_else(place, monkeypatch):
    monkeypatch.setattr(cache, "LARGEST", 250)
    place.mkdir()
    (place / "holiday.jpg").write_bytes(b"x" * 1000)
    abandoned = place / f".partial-0123abcd-words-{OTHER}.cache"
    fresh = place / f".partial-0123abce-words-{OTHER}.cache"
    for path, age in ((abandoned, 2 * cache.ABANDONED), (fresh, 1)):
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age,) * 2)
    for number, kind in enumerate(("first", "second")):
        keep(kind, KEY, 100)
        os.utime(cache.find(kind, KEY), (100 + number,) * 2)
    cache.find("first", KEY)  # used now
    keep("third", KEY, 100)
    names = {path.name for path in place.iterdir()}
    assert names == {"holiday.jpg", fresh.name, f"first-{KEY}.cache", f"third-{KEY}.cache"}


def test_nothing_is_kept_where_the_variable_is_empty(monkeypatch):
    monkeypatch.setenv("GROUPVIT_CACHE", "")
    assert cache.folder() is None
    assert cache.find("words", KEY) is None
    with pytest.raises(InputError, match="GROUPVIT_CACHE is empty"), cache.new("words", KEY):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("GROUPVIT_CACHE", str(tmp_path / "file" / "kept"))
    with pytest.raises(InputError, match="cannot be written"), cache.new("words", KEY):
        pass


def test_the_folder_of_the_system_is_the_default(monkeypatch, tmp_path):
    monkeypatch.delenv("GROUPVIT_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "groupvit"


def test_digests_see_where_a_part_ends():
    assert cache.digest(["ab", b"c"]) == cache.digest([b"ab", "c"])
    assert cache.digest(["ab", "c"]) != cache.digest(["a", "bc"])
    assert len(cache.digest([])) == 32
