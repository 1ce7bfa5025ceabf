"""`groupvit segment` for shards, `groupvit masks`, and folder runs that are resumed."""

import json

import pytest

from groupvit.cli import images as command
from groupvit.segmentation import folder
from tests.bulk.conftest import contents, jpeg, write_tar

LABELS = ("--labels", "dog", "cat", "grass")


@pytest.fixture
def segment(run, model, tmp_path):
    def segment(*arguments, out="out"):
        return run("segment", *arguments, "--model", model, "--out", tmp_path / out)

    return segment


@pytest.fixture
def tars(tmp_path):
    for shard in range(3):
        write_tar(tmp_path / f"in/s-{shard}.tar", {f"{i}": jpeg(3 * shard + i) for i in range(2)})
    return tmp_path / "in/s-{0..2}.tar"


def test_shards_to_parquet_to_coco(run, segment, tars, tmp_path):
    code, printed, complaint = segment(tars, *LABELS, "--format", "parquet")
    assert (code, complaint) == (0, "")
    assert "6 images of 3 shards" in printed
    code, printed, _ = segment(tars, *LABELS, "--format", "parquet")
    assert code == 0
    assert "3 shards, 3 of them done before" in printed
    code, printed, _ = run("masks", tmp_path / "out", "--to", "coco", "--out", tmp_path / "coco")
    assert code == 0
    assert "6 images of 3 shards" in printed
    coco = json.loads((tmp_path / "coco/coco.json").read_text())
    assert len(coco["images"]) == 6


def test_broken_images_and_shards_are_reported(segment, tars, tmp_path):
    write_tar(tmp_path / "in/s-1.tar", {"0": b"no image", "1": jpeg(1)})
    (tmp_path / "in/s-2.tar").write_bytes(b"no tar file" * 1000)
    code, printed, complaint = segment(tars, *LABELS, "--format", "files")
    assert code == 1
    assert "1 images have an error instead of masks" in printed
    assert "s-2.tar is no tar file" in complaint
    assert sorted(path.name for path in (tmp_path / "out").glob("*.jsonl")) == [
        *("s-0.jsonl", "s-1.jsonl")
    ]


def test_a_task_of_a_cluster_does_its_part(segment, tars, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    code, printed, _ = segment(tars, *LABELS, "--format", "parquet")
    assert code == 0
    assert "1 shards of part 2 of 2" in printed
    assert [path.name for path in (tmp_path / "out").glob("*.parquet")] == ["s-1.parquet"]


@pytest.mark.slow
def test_several_processes_give_the_bytes_of_one(segment, tars, tmp_path):
    assert segment(tars, *LABELS, "--format", "webdataset")[0] == 0
    code, printed, _ = segment(
        *(tars, *LABELS, "--format", "webdataset", "--workers", "2"), out="two"
    )
    assert code == 0
    assert "6 images of 3 shards" in printed
    assert contents(tmp_path / "two") == contents(tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--format", "parquet", "index"), "the format parquet stands alone"),
        (("--format", "files", "--overwrite"), "the format files stands alone"),
        (("--workers", "2"), "--workers and --shard-size are for shards"),
        (("--format", "files", "--workers", "0"), "--workers is 0; give at least 1, or ray"),
        (("--format", "files", "--shard-size", "0"), "--shard-size is 0; give at least 1"),
    ],
)
def test_options_that_do_not_fit_are_refused(segment, tars, tmp_path, options, expected):
    code, _, complaint = segment(tars, *LABELS, *options)
    assert (code, complaint.count("\n")) == (2, 1)
    assert expected in complaint
    assert not (tmp_path / "out").exists()


def test_an_estimate_of_many_images(run, model, photos):
    code, printed, _ = run(
        *("plan", "--segment", photos, *LABELS, "--model", model, "--batch-size", "1"),
        *("--number", "2", "--workers", "4", "--price", "2"),
    )
    assert code == 0
    assert "images/s of one worker on cpu, measured" in printed
    assert "1,000,000,000" in printed
    assert "money" in printed
    assert "4 workers read" in printed


def interrupt_after(monkeypatch, number):
    """Makes the next folder run end with Ctrl-C after some images."""
    write, written = folder.Outputs.write, []

    def interrupted(self, *given):
        if len(written) == number:
            monkeypatch.setattr(folder.Outputs, "write", write)
            raise KeyboardInterrupt
        written.append(given)
        write(self, *given)

    monkeypatch.setattr(folder.Outputs, "write", interrupted)


def test_an_interrupted_folder_run_continues_with_the_same_command(
    segment, photos, tmp_path, monkeypatch
):
    whole = (photos, *LABELS, "--format", "index", "--batch-size", "1")
    assert segment(*whole, out="whole")[0] == 0
    interrupt_after(monkeypatch, 2)
    assert segment(*whole)[0] == 130
    assert len(contents(tmp_path / "out")) == 2 + 1
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.png")}
    code, printed, complaint = segment(photos, "--labels", "dog", *whole[5:])
    assert code == 2
    assert "holds results of another run: labels was ['dog', 'cat', 'grass']" in complaint
    code, printed, _ = segment(*whole)
    assert code == 0
    assert "2 images were done before the interruption" in printed
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert segment(*whole)[0] == 2  # a finished run is not repeated without --overwrite


def test_an_image_that_changed_ends_a_folder_run(segment, photos, monkeypatch):
    interrupt_after(monkeypatch, 1)
    assert segment(photos, *LABELS, "--format", "index")[0] == 130
    (photos / "dog.jpg").write_bytes(jpeg(9))
    code, _, complaint = segment(photos, *LABELS, "--format", "index")
    assert code == 2
    assert "dog.jpg was changed since the run in" in complaint
    assert segment(photos, *LABELS, "--format", "index", "--overwrite")[0] == 0
    assert command.resuming.read(photos.parent / "out") is None
