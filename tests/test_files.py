"""Files and folders that appear whole: the old content or the new, and nothing beside it."""

import contextlib
import os
import subprocess
import sys

import pytest

from groupvit import files
from groupvit.errors import InputError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def full(*_, **__):
    raise OSError(28, "No space left on device")


def write_folder(path, text):
    with files.new_folder(path) as beside:
        (beside / "deep").mkdir()
        (beside / "deep" / "a.txt").write_text(text)


def test_a_file_appears_only_when_all_of_it_is_written(tmp_path):
    path = tmp_path / "a.png"
    with files.new_file(path) as beside:
        beside.write_text("new")
        assert (beside.parent, beside.suffix) == (tmp_path, ".png")
        assert beside.name.startswith(".")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.png"]


def test_an_old_file_is_replaced(tmp_path):
    files.write_text(tmp_path / "a", "old")
    files.write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"


@pytest.mark.parametrize("step", ["os.fsync", "Path.replace", "Path.write_text"])
def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch, step):
    files.write_text(tmp_path / "a", "old")
    with monkeypatch.context() as patch:
        patch.setattr(f"groupvit.files.{step}", full)
        with pytest.raises(InputError, match=r"/a cannot be written: No space left on device"):
            files.write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError, RuntimeError])
def test_an_interrupted_write_leaves_nothing(tmp_path, error):
    def half(path):
        path.write_text("half")
        raise error

    with pytest.raises(error), files.new_file(tmp_path / "a") as beside:
        half(beside)
    with pytest.raises(error), files.new_folder(tmp_path / "b") as beside:
        half(beside / "a")
    assert names(tmp_path) == []


def test_a_folder_replaces_the_old_one_whole(tmp_path):
    write_folder(tmp_path / "out", "old")
    (tmp_path / "out" / "note.txt").write_text("old")
    write_folder(tmp_path / "out", "new")
    assert names(tmp_path / "out") == ["deep"]
    assert (tmp_path / "out" / "deep" / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["out"]


def test_a_file_never_replaces_a_folder_nor_a_folder_a_file(tmp_path):
    write_folder(tmp_path / "out", "old")
    with pytest.raises(InputError, match="cannot be written"):
        files.write_text(tmp_path / "out", "new")
    files.write_text(tmp_path / "file", "old")
    with pytest.raises(InputError, match="cannot be written"):
        write_folder(tmp_path / "file", "new")
    assert (tmp_path / "out" / "deep" / "a.txt").read_text() == "old"
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file", "out"]


@pytest.mark.parametrize("step", ["os.fsync", "Path.rename", "Path.mkdir"])
def test_a_failing_write_leaves_the_old_folder(tmp_path, monkeypatch, step):
    write_folder(tmp_path / "out", "old")
    with monkeypatch.context() as patch:
        patch.setattr(f"groupvit.files.{step}", full)
        patch.setattr(files, "_exchanged", lambda *_: False)
        with pytest.raises(InputError, match=r"/out cannot be written: No space left on device"):
            write_folder(tmp_path / "out", "new")
    assert (tmp_path / "out" / "deep" / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["out"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot swap folders")
def test_there_is_no_moment_without_a_folder(tmp_path, monkeypatch):
    write_folder(tmp_path / "out", "old")
    monkeypatch.setattr(files.Path, "rename", full)
    write_folder(tmp_path / "out", "new")
    assert (tmp_path / "out" / "deep" / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["out"]


def test_every_file_is_flushed_before_the_folder_is_renamed(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(files, "flush", lambda path: flushed.append((path.name, *names(tmp_path))))
    write_folder(tmp_path / "out", "new")
    order = [name.rpartition("-")[2] for name, *_ in flushed]
    assert order == ["deep", "a.txt", "out", tmp_path.name.rpartition("-")[2]]
    assert [there for *_, there in flushed[:3]] == [flushed[2][0]] * 3
    assert flushed[3][1:] == ("out",)


def test_the_parents_of_a_folder_are_made(tmp_path):
    write_folder(tmp_path / "a" / "b", "new")
    assert (tmp_path / "a" / "b" / "deep" / "a.txt").read_text() == "new"


def test_a_folder_has_the_permissions_of_any_new_one(tmp_path):
    (tmp_path / "usual").mkdir()
    write_folder(tmp_path / "out", "new")
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_folder_is_made_before_the_work_or_refused(tmp_path, monkeypatch):
    files.make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    files.write_text(tmp_path / "file", "a file")
    with pytest.raises(InputError, match=r"file/b cannot be written: Not a directory"):
        files.make_folder(tmp_path / "file" / "b")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match=r"a cannot be written: Permission denied"):
        files.make_folder(tmp_path / "a")


KILLED = """
import os, signal, sys
from pathlib import Path
from groupvit import files
with files.new_folder(Path(sys.argv[1])) as beside:
    (beside / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "out")], check=False)
    (tmp_path / ".partial-01234567-other-out").mkdir()
    assert len(names(tmp_path)) == 2
    write_folder(tmp_path / "out", "new")
    assert names(tmp_path) == [".partial-01234567-other-out", "out"]
    files.remove_leftovers(tmp_path)
    assert names(tmp_path) == ["out"]


def test_a_temporary_folder_lies_beside_the_outputs_and_goes(tmp_path):
    with files.temporary_folder(tmp_path / "out", "book") as folder:
        (folder / "a").write_text("new")
        files.replace(folder / "a", tmp_path / "out" / "a")
    assert names(tmp_path / "out") == ["a"]


def test_a_temporary_folder_names_the_folder_of_the_outputs(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match=r"file/out cannot be written: Not a directory"),
        files.temporary_folder(tmp_path / "file" / "out", "book"),
    ):
        pass


def replaced_all(folder, texts, obsolete=()):
    with files.temporary_folder(folder, "ours") as beside:
        for name, text in texts.items():
            (beside / name).write_text(text)
        files.replace_all(beside, folder, "ours", obsolete=obsolete)


def test_files_of_one_output_are_replaced_together(tmp_path):
    (tmp_path / "other").touch()
    replaced_all(tmp_path, {"a": "1", "b": "1"})
    replaced_all(tmp_path, {"b": "2", "c": "2"}, ["a"])
    assert names(tmp_path) == ["b", "c", "other"]
    assert (tmp_path / "b").read_text() == (tmp_path / "c").read_text() == "2"


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def replaced_parts(folder, text, names):
    """Two folders with a file each, and a file."""
    with files.temporary_folder(folder, "ours") as beside:
        for name in names:
            (beside / name).mkdir()
            (beside / name / text).write_text(text)
        (beside / "sheet").write_text(text)
        files.replace_all(beside, folder, "ours", obsolete=sorted({"a", "b", "c"} - set(names)))


@pytest.mark.parametrize("step", range(14))
def test_a_replacement_that_is_killed_is_old_or_new_or_refused(tmp_path, monkeypatch, step):
    replaced_parts(tmp_path, "old", "ab")
    old, done = contents(tmp_path), []

    def killed_before(action):
        def call(*arguments, **options):
            if len(done) >= step:  # a dead process cleans nothing up
                done.append("killed")
                raise KeyboardInterrupt
            done.append("step")
            return action(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in ("rename", "replace", "unlink"):
            patch.setattr(f"groupvit.files.Path.{name}", killed_before(getattr(files.Path, name)))
        patch.setattr("groupvit.files.shutil.rmtree", killed_before(files.shutil.rmtree))
        with contextlib.suppress(KeyboardInterrupt):
            replaced_parts(tmp_path, "new", "bc")
    assert "killed" in done or step > 6
    new = {"b/new": "new", "c/new": "new", "sheet": "new"}
    visible = {name: text for name, text in contents(tmp_path).items() if name[0] != "."}
    if (tmp_path / ".moving-ours").exists():
        with pytest.raises(InputError, match="holds old and new files of 'ours'"):
            files.check_whole(tmp_path, "ours")
        files.complete(tmp_path, "ours")
        assert contents(tmp_path) == new
    else:
        files.check_whole(tmp_path, "ours")
        assert visible in (old, new)
    files.check_whole(tmp_path, "others")
    replaced_parts(tmp_path, "next", "ab")
    assert names(tmp_path) == ["a", "b", "sheet"]


def test_leftovers_of_given_names_alone_are_removed(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / f".partial-0123abcd-{name}").touch()
    files.remove_leftovers(tmp_path, "a.png", "c.png")
    assert names(tmp_path) == [".partial-0123abcd-b.png"]
