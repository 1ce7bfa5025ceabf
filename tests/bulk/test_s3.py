"""Shards in a bucket of a real S3 server on this machine, with errors and cut connections."""

import pytest
import s3fs

from groupvit import InputError, read_masks
from groupvit.bulk import engines, run, shards
from groupvit.bulk.worker import Job
from groupvit.cli import main
from groupvit.segmentation.manifest import Manifest, settings_of
from tests import s3
from tests.bulk.conftest import contents, jpeg, write_tar

LABELS = ("dog", "cat", "grass")


@pytest.fixture
def bucket(monkeypatch):
    """An empty bucket, and what makes its server fail."""
    with s3.bucket(monkeypatch) as made:
        yield made


@pytest.fixture
def uploaded(bucket, tmp_path):
    """Four tar shards in the bucket and on disk."""
    store, _ = bucket
    for shard in range(4):
        path = tmp_path / f"in/s-{shard:03}.tar"
        write_tar(path, {f"{shard}{i}": jpeg(3 * shard + i) for i in range(3)})
        store.put_file(str(path), f"lake/in/{path.name}")
    return tmp_path / "in"


def segment(segmenter, source, out):
    found = shards.find([source], shard_size=2, out=out).shards
    settings = settings_of(segmenter, LABELS, background=None, top_labels=None, output=["parquet"])
    manifest = Manifest(settings=settings, inputs={one.name: one.state for one in found})
    job = Job(
        load=lambda _: segmenter,
        labels=LABELS,
        background=None,
        top_labels=None,
        out=out,
        output="parquet",
    )
    return run.segment(job, run.begin(out, manifest, found), engines.here)


def tables(files):
    return {name: data for name, data in files.items() if name.endswith(".parquet")}


def test_faults_of_the_server_change_no_result(bucket, uploaded, segmenter, tmp_path):
    store, faults = bucket
    segment(segmenter, str(uploaded / "*.tar"), str(tmp_path / "local"))
    faults.every = 3
    summary = segment(segmenter, "s3://lake/in/s-{000..003}.tar", "s3://lake/out")
    assert (summary.errors, summary.num_images) == ({}, 12)
    assert faults.refused > 2
    assert faults.cut > 1
    faults.end()
    found = {name.rpartition("/")[2]: store.cat_file(name) for name in store.ls("lake/out")}
    assert tables(found) == tables(contents(tmp_path / "local"))
    assert len(list(read_masks("s3://lake/out"))) == 12
    assert segment(segmenter, "s3://lake/in/*.tar", "s3://lake/out").num_shards == 0


@pytest.mark.usefixtures("uploaded")
def test_a_changed_object_is_refused(bucket, segmenter):
    store, _ = bucket
    segment(segmenter, "s3://lake/in/*.tar", "s3://lake/out")
    store.pipe_file("lake/in/s-001.tar", b"another")
    with pytest.raises(InputError, match="s-001 was changed since the run in s3://lake/out"):
        segment(segmenter, "s3://lake/in/*.tar", "s3://lake/out")


def test_images_of_a_folder_in_a_bucket_are_cut_by_name(bucket, segmenter):
    store, _ = bucket
    for name in ("b.jpg", "trip/a.jpg", "trip/notes.txt"):
        store.pipe_file(f"lake/photos/{name}", jpeg(1))
    segment(segmenter, "s3://lake/photos", "s3://lake/out")
    assert [name for name, _ in read_masks("s3://lake/out")] == ["b.jpg", "trip/a.jpg"]


@pytest.mark.usefixtures("bucket")
def test_what_is_not_in_the_bucket_is_named_in_one_sentence(model, capsys):
    for source in ("s3://lake/no.tar", "s3://elsewhere/no.tar"):
        code = main(
            ["segment", source, "--labels", "dog", "--model", str(model), "--format", "parquet"]
        )
        complaint = capsys.readouterr().err
        assert (code, complaint.count("\n")) == (2, 1)
        assert source in complaint


def test_a_store_that_does_not_answer_is_a_named_error(bucket, uploaded, segmenter, monkeypatch):
    _, faults = bucket
    found = shards.find(["s3://lake/in/*.tar"], shard_size=2, out="s3://lake/out").shards
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 2)
    faults.every = 1
    job = Job(
        load=lambda _: segmenter,
        labels=LABELS,
        background=None,
        top_labels=None,
        out=str(uploaded / "out"),
        output="parquet",
    )
    (error,) = run.segment(job, found[:1], engines.here).errors.values()
    assert "s3://lake/in/s-000.tar cannot be read or written" in error
