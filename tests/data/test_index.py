import logging
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from groupvit.data import index, tar_samples
from groupvit.data.shards import Caption, Reader, count_nouns
from groupvit.text.nouns import NounFinder
from tests.data.pairs import encoded, photo, sample, write_tar


@pytest.fixture
def path(tmp_path):
    parts = [part for number in range(4) for part in sample(number)]
    return write_tar(tmp_path / "a.tar", [*parts, ("x.cls", "3"), ("y.jpg", encoded(photo()))])


@pytest.fixture
def readings(monkeypatch):
    """Every tar file that was read through."""
    read, seen = tar_samples.read, []

    def count(path):
        seen.append(path)
        return read(path)

    monkeypatch.setattr(tar_samples, "read", count)
    return seen


def prepare(*paths, nouns="pattern", **options):
    return index.prepare(paths, nouns, **options)


def test_an_index_summarizes_its_shard(path):
    (shard,) = prepare(path)
    assert (shard.num_samples, shard.num_captions) == (4, 8)
    assert shard.damage == {"foreign suffix": 1, "no caption": 1}
    assert index.index_path(path).exists()
    assert shard.tensors is None


def test_a_sample_is_read_by_its_index(path):
    reader = Reader(prepare(path)[0])
    (_, image), _ = sample(2)
    assert reader.image(2) == image
    assert reader.captions(2) == [
        Caption("a boat near number 2", ("boat", "number")),
        Caption("the boat on a hill, 2", ("boat", "hill")),
    ]


@pytest.mark.parametrize(
    "captions",
    [("a dog on grass", "two"), ("two", "a dog on grass"), ("two", "three"), ("two",)],
)
def test_captions_without_nouns_are_read_wherever_they_stand(tmp_path, captions):
    parts = [part for n, text in enumerate(captions) for part in sample(n, captions=[text])]
    reader = Reader(prepare(write_tar(tmp_path / "a.tar", parts))[0])
    nouns = {"a dog on grass": ("dog", "grass")}
    for number, text in enumerate(captions):
        assert reader.captions(number) == [Caption(text, nouns.get(text, ()))]


def test_an_index_that_fits_is_used_again(path, readings):
    first = prepare(path)
    assert prepare(path) == first
    assert len(readings) == 1


def change_time(path):
    os.utime(path, ns=(0, 0))


def change_content(path):
    write_tar(path, sample(7))


def damage_index(path):
    index.index_path(path).write_bytes(b"no index")


def cut_index(path):
    stored = index.index_path(path).read_bytes()
    index.index_path(path).write_bytes(stored[:-10])


def empty_index(path):
    index.index_path(path).write_bytes(b"")


@pytest.mark.parametrize(
    "change", [change_time, change_content, damage_index, cut_index, empty_index]
)
def test_an_index_that_does_not_fit_is_made_anew(path, readings, change):
    prepare(path)
    change(path)
    (shard,) = prepare(path)
    assert len(readings) == 2
    assert Reader(shard).captions(0)
    assert prepare(path) == [shard]
    assert len(readings) == 2


def test_an_index_of_another_version_is_made_anew(path, readings, monkeypatch):
    prepare(path)
    monkeypatch.setattr(index, "VERSION", "0")
    prepare(path)
    assert len(readings) == 2


def test_an_index_of_another_tagger_is_made_anew(path, readings, monkeypatch):
    class Finder(NounFinder):
        def __init__(self, kind):
            self.kind = kind

        def find(self, caption):
            return [self.kind] if caption else []

    monkeypatch.setattr(index, "NounFinder", Finder)
    prepare(path)
    (shard,) = prepare(path, nouns="perceptron")
    assert Reader(shard).captions(0)[0].nouns == ("perceptron",)
    assert len(readings) == 2


def test_an_index_keeps_its_shards_size_and_time(path):
    prepare(path)
    with safe_open(index.index_path(path), framework="numpy") as file:
        metadata = file.metadata()
    assert int(metadata["size"]) == path.stat().st_size
    assert int(metadata["mtime_ns"]) == path.stat().st_mtime_ns
    assert metadata["nouns"] == "pattern"


def test_nothing_else_is_left_beside_a_shard(path):
    prepare(path)
    assert sorted(file.name for file in path.parent.iterdir()) == ["a.tar", "a.tar.index"]


def test_where_nothing_can_be_written_indexes_stay_in_memory(path, monkeypatch, caplog):
    def refuse(_, path, **__):
        raise PermissionError(13, "Permission denied", str(path))

    other = write_tar(path.with_name("b.tar"), sample(9))
    monkeypatch.setattr(index, "save_file", refuse)
    first, second = prepare(path, other)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "kept in memory" in caplog.text
    assert "a.tar.index cannot be written: Permission denied" in caplog.text
    assert Reader(first).captions(1)[0].nouns == ("cat", "number")
    assert Reader(second).captions(0)[0].text == "a cat near number 9"
    assert not index.index_path(path).exists()


def test_processes_may_begin_at_different_shards(path, readings):
    paths = [write_tar(path.with_name(f"{n}.tar"), sample(n)) for n in range(3)]
    calls = []
    shards = prepare(*paths, first=2, on_progress=lambda done, total: calls.append((done, total)))
    assert [shard.path for shard in shards] == paths
    assert [Path(path).name for path in readings] == ["2.tar", "0.tar", "1.tar"]
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_a_shard_without_samples_has_an_index_too(tmp_path):
    path = write_tar(tmp_path / "a.tar", [])
    assert prepare(path)[0].num_samples == 0
    assert prepare(path)[0].num_samples == 0


def test_nouns_of_shards_are_counted_whether_an_index_is_in_memory_or_not(path, tmp_path):
    captions = ["cars and a car", "!!", "a car", "no:"]
    other = write_tar(tmp_path / "b.tar", sample(1, captions=captions))
    none = write_tar(tmp_path / "c.tar", sample(2, captions=["!!"]))
    shards = prepare(path, other, none)
    found = count_nouns(shards)
    expected = Counter(
        noun
        for shard in shards
        for one in range(shard.num_samples)
        for caption in Reader(shard).captions(one)
        for noun in caption.nouns
    )
    assert found == expected
    assert (found["car"], found["cars"]) == (2, 1)
    tensors = load_file(index.index_path(path))
    assert count_nouns([replace(shards[0], tensors=tensors)]) == count_nouns(shards[:1])
