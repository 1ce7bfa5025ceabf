"""Shards in, shards of masks out: every image once, whatever happens in between."""

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from groupvit import Background, InputError, Segmenter, read_masks
from groupvit.bulk import engines, results, run, shards
from groupvit.bulk.worker import Job
from groupvit.segmentation.manifest import Manifest, settings_of
from tests.bulk.conftest import contents, jpeg, write_tar
from tests.lively import lively_model, street

LABELS = ("dog|hound", "cat", "grass")


@pytest.fixture
def segment(segmenter, tmp_path):
    """Segments sources into the folder ``out``; gives the summary."""

    def segment(
        *sources, output="parquet", labels=LABELS, background=None, model=segmenter, size=2
    ):
        out = str(tmp_path / "out")
        found = shards.find([str(one) for one in sources], shard_size=size, out=out).shards
        settings = settings_of(
            model, labels, background=background, top_labels=None, output=[output]
        )
        inputs = {shard.name: shard.state for shard in found}
        todo = run.begin(out, Manifest(settings=settings, inputs=inputs), found)
        job = Job(
            load=lambda _: model,
            labels=labels,
            background=background,
            top_labels=None,
            out=out,
            output=output,
        )
        return run.segment(job, todo, engines.here)

    return segment


@pytest.mark.parametrize("output", ["parquet", "webdataset", "files"])
def test_each_shard_gives_one_of_the_same_name_and_each_image_a_row(
    segment, segmenter, tars, tmp_path, output
):
    summary = segment(tars, output=output)
    assert (summary.num_shards, summary.num_images, summary.num_failed) == (3, 9, 1)
    suffix = results.SUFFIXES[output]
    found = {path.name for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert found == {"manifest.json", *(f"s-00{i}{suffix}" for i in (0, 1, 3))}
    masks = read_masks(tmp_path / "out")
    rows = dict(masks)
    assert masks.labels == ("dog", "cat", "grass")
    assert sorted(rows) == [f"s-00{i}/{i}{j}" for i in (0, 1, 3) for j in range(3)]
    assert "damaged" in rows["s-001/11"].error
    assert rows["s-001/11"].label_ids == ()
    expected = segmenter(Image.open(io.BytesIO(jpeg(31))), LABELS)
    row = rows["s-003/31"]
    assert np.array_equal(row.label_map(), expected.label_map)
    dense = expected.scores
    for label, score in zip(row.label_ids, row.scores, strict=True):
        assert score == pytest.approx(dense[label][expected.label_map == label].mean(), abs=1e-4)


def test_the_label_maps_are_beside_the_rows_as_png(segment, segmenter, tars, tmp_path):
    segment(tars, output="files")
    expected = segmenter(Image.open(io.BytesIO(jpeg(2))), LABELS).label_map
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/s-000/02.png")), expected)
    assert not (tmp_path / "out/s-001/11.png").exists()


def test_a_background_is_where_no_mask_is(segment, segmenter, tars, tmp_path):
    background = Background(threshold=0.4)
    segment(tars, background=background)
    masks = read_masks(tmp_path / "out")
    assert masks.labels == ("background", "dog", "cat", "grass")
    expected = segmenter(Image.open(io.BytesIO(jpeg(1))), LABELS, background=background)
    row = dict(masks)["s-000/01"]
    assert 0 not in row.label_ids
    assert np.array_equal(row.label_map(), expected.label_map)
    assert (row.label_map() == 0).any()


def test_the_same_command_reads_no_finished_shard_again(segment, tars, tmp_path):
    segment(tars)
    before = contents(tmp_path / "out")
    (tmp_path / "out/s-001.parquet").unlink()
    summary = segment(tars)
    assert (summary.num_shards, summary.num_images) == (1, 3)
    assert contents(tmp_path / "out") == before
    assert segment(tars).num_shards == 0


def test_another_run_is_refused_by_the_name_of_what_differs(segment, segmenter, tars, tmp_path):
    segment(tars)
    before = contents(tmp_path / "out")
    with pytest.raises(InputError, match=r"another run: labels was \['dog', 'cat', 'grass'\]"):
        segment(tars, labels=("dog",))
    other = lively_model()
    other.log_scale.data += 1
    with pytest.raises(InputError, match="another run: model was"):
        segment(tars, model=Segmenter(other, batch_size=2))
    quick = Segmenter(
        lively_model(), batch_size=2, protocol=replace(segmenter.protocol, long_side=99)
    )
    with pytest.raises(InputError, match=r"another run: protocol\.long_side was 2048"):
        segment(tars, model=quick)
    with pytest.raises(InputError, match="another run: output"):
        segment(tars, output="files")
    write_tar(tmp_path / "tars/s-003.tar", {"30": jpeg(0)})
    with pytest.raises(InputError, match="s-003 was changed since the run in"):
        segment(tars)
    assert contents(tmp_path / "out") == before


def test_a_folder_is_cut_by_name_and_new_shards_are_added(segment, tmp_path):
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    for seed, name in enumerate(["a.png", "b.jpg", "trip/c.webp"]):
        Image.fromarray(street(40, 60, seed)).save(folder / name)
    assert segment(folder).num_images == 3
    assert [name for name, _ in read_masks(tmp_path / "out")] == ["a.png", "b.jpg", "trip/c.webp"]
    assert (tmp_path / "out/photos-000001.parquet").exists()
    for seed, name in enumerate(["trip/d.png", "trip/e.png"]):
        Image.fromarray(street(40, 60, seed)).save(folder / name)
    with pytest.raises(InputError, match="photos-000001 was changed"):
        segment(folder)
    write_tar(tmp_path / "more.tar", {"x": jpeg(5)})
    with pytest.raises(InputError, match="photos-000001 was changed"):
        segment(folder, tmp_path / "more.tar")
    assert segment(tmp_path / "more.tar").num_shards == 1
    assert len(list(read_masks(tmp_path / "out"))) == 4


@pytest.mark.parametrize("hub", [True, False], ids=["hub", "plain"])
def test_tables_hold_images_as_on_the_hub_or_as_bytes(segment, tmp_path, hub):
    values = [jpeg(0), b"no image", None]
    images = [{"bytes": one, "path": f"{i}.jpg"} for i, one in enumerate(values)] if hub else values
    parquet.write_table(
        pyarrow.table({"text": ["a", "b", "c"], "image": images}), tmp_path / "t.parquet"
    )
    assert segment(tmp_path / "t.parquet").num_failed == 2
    rows = dict(read_masks(tmp_path / "out"))
    names = [f"{i}.jpg" if hub else f"t/{i:09}" for i in range(3)]
    assert list(rows) == names
    assert rows[names[0]].error == ""
    assert "is not a JPEG, PNG or WebP image" in rows[names[1]].error
    assert "no bytes" in rows[names[2]].error


def test_a_table_without_images_is_named(segment, tmp_path):
    parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / "t.parquet")
    (tmp_path / "u.parquet").write_bytes(b"a letter")
    errors = segment(tmp_path / "*.parquet").errors
    assert "no column with the bytes of images; its columns are text" in errors["t"]
    assert "u.parquet is no Parquet table" in errors["u"]


def test_a_shard_that_ends_early_loses_no_row_and_reports_the_loss(segment, tmp_path):
    write_tar(tmp_path / "s.tar", {f"{i}": jpeg(i) for i in range(3)})
    (tmp_path / "s.tar").write_bytes((tmp_path / "s.tar").read_bytes()[:5000])
    segment(tmp_path / "s.tar")
    rows = dict(read_masks(tmp_path / "out"))
    assert "truncated" in rows["s/__truncated__"].error
    assert len(rows) == 2 + 1 or len(rows) == 1 + 1
    assert rows["s/0"].error == ""


def test_a_key_that_leads_out_of_the_folder_is_an_error(segment, tmp_path):
    write_tar(tmp_path / "in/s.tar", {"../../evil": jpeg(0), "good": jpeg(1)})
    assert segment(tmp_path / "in/s.tar", output="files").num_failed == 1
    assert not list(tmp_path.rglob("evil*"))


def test_mistakes_in_sources_are_named(segment, tars, tmp_path):
    with pytest.raises(InputError, match=r"there is nothing at .*no\.tar"):
        segment(tmp_path / "no.tar")
    with pytest.raises(InputError, match="check the numbers in its braces"):
        segment(tmp_path / "no-{0..3}.tar")
    with pytest.raises(InputError, match="more than 1,000,000 names"):
        segment(tmp_path / "no-{0..99999999}.tar")
    write_tar(tmp_path / "other/s-000.tar", {"x": jpeg(0)})
    with pytest.raises(InputError, match="would both give the result s-000"):
        segment(tars, tmp_path / "other/s-000.tar")
    with pytest.raises(InputError, match=r"cannot be opened|needs a package"):
        segment("nothing://bucket/a.tar")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/s-000.tar").touch()
    with pytest.raises(InputError, match=r"holds s-000\.tar, which is no result"):
        segment(tars, output="webdataset")


def test_missing_shards_of_braces_are_listed(tars, tmp_path):
    found = shards.find([tars], shard_size=1, out=str(tmp_path / "out"))
    assert [Path(name).name for name in found.missing] == ["s-002.tar"]


def test_results_of_others_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no results of groupvit segment"):
        read_masks(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"format": "x"}))
    with pytest.raises(InputError, match="was not written by groupvit segment"):
        read_masks(tmp_path)


def test_a_damaged_result_is_named(segment, tars, tmp_path):
    segment(tars, output="webdataset")
    with tarfile.open(tmp_path / "out/s-000.tar", "w") as tar:
        member = tarfile.TarInfo("x.json")
        member.size = 2
        tar.addfile(member, io.BytesIO(b"{}"))
    with pytest.raises(InputError, match=r"s-000\.tar has other columns"):
        list(read_masks(tmp_path / "out"))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (0, 1)),
        ({"RANK": "2", "WORLD_SIZE": "4"}, (2, 4)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, (0, 1)),  # a batch script without srun
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "4"}, (1, 4)),
        (
            {
                "SLURM_ARRAY_TASK_ID": "7",
                "SLURM_ARRAY_TASK_MIN": "1",
                "SLURM_ARRAY_TASK_STEP": "2",
                "SLURM_ARRAY_TASK_COUNT": "8",
                "SLURM_PROCID": "1",
                "SLURM_STEP_NUM_TASKS": "2",
            },
            (7, 16),
        ),
    ],
)
def test_processes_of_a_cluster_split_the_shards(environment, expected):
    assert engines.part_of(environment) == engines.Part(*expected)


def test_the_parts_of_all_processes_hold_every_shard_once():
    every = [shards.Shard(str(i), (), (), "") for i in range(10)]
    parts = [engines.Part(index, 3).of(every) for index in range(3)]
    assert sorted(int(shard.name) for part in parts for shard in part) == list(range(10))
