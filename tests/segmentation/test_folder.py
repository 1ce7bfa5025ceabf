"""Folders of images segmented from Python."""

import json

import numpy as np
import pytest
from PIL import Image

from groupvit import Background, InputError, Segmenter
from groupvit.segmentation.folder import Outputs, segment_files

LABELS = ("dog|hound", "cat", "grass")


@pytest.fixture(scope="module")
def segmenter(lively_model):
    return Segmenter(lively_model, batch_size=2)


@pytest.fixture
def photos(street, tmp_path):
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    for seed, name in enumerate(["a.png", "b.jpg", "c.png", "trip/d.webp"]):
        Image.fromarray(street(40, 60, seed)).save(folder / name)
    return folder


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_folder_is_segmented_in_two_lines(segmenter, photos, tmp_path):
    outputs = Outputs([photos], tmp_path / "out", formats=("index", "coco"))
    report = segment_files(segmenter, outputs, LABELS, background=Background(threshold=0.5))
    assert (report.num_done, report.failed) == (4, {})
    assert names(tmp_path / "out") == ["a.png", "b.png", "c.png", "coco.json", "trip/d.png"]
    assert sorted(outputs.written) == sorted(
        path for path in (tmp_path / "out").rglob("*") if path.is_file()
    )
    expected = segmenter(photos / "b.jpg", LABELS, background=Background(threshold=0.5))
    found = np.asarray(Image.open(tmp_path / "out" / "b.png"))
    assert np.array_equal(found, expected.label_map)


def test_a_broken_image_is_reported_and_no_other_is_lost(segmenter, photos, tmp_path):
    (photos / "b.jpg").write_text("a letter")
    (photos / "e.png").write_bytes((photos / "a.png").read_bytes()[:100])
    told = []
    outputs = Outputs([photos], tmp_path / "out", formats=("index",))
    report = segment_files(segmenter, outputs, LABELS, on_progress=lambda *done: told.append(done))
    assert report.num_done == 3
    assert set(report.failed) == {photos / "b.jpg", photos / "e.png"}
    assert "is not a JPEG, PNG or WebP image" in report.failed[photos / "b.jpg"]
    assert names(tmp_path / "out") == ["a.png", "c.png", "trip/d.png"]
    assert told[-1] == (5, 5)


def test_without_labels_only_groups_are_written(segmenter, photos, tmp_path):
    outputs = Outputs([photos / "a.png"], tmp_path / "out", formats=("groups", "index", "coco"))
    report = segment_files(segmenter, outputs, ())
    assert (report.num_done, report.last) == (1, None)
    assert names(tmp_path / "out") == ["a.groups.png"]


def test_what_is_complete_stays_after_an_interrupt(segmenter, photos, tmp_path):
    def interrupt(done, _):
        if done == 3:
            raise KeyboardInterrupt

    outputs = Outputs([photos], tmp_path / "out", formats=("index", "coco"))
    with pytest.raises(KeyboardInterrupt):
        segment_files(segmenter, outputs, LABELS, on_progress=interrupt)
    assert names(tmp_path / "out") == ["a.png", "b.png", "c.png", "coco.json"]
    coco = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == ["a.png", "b.jpg", "c.png"]


def test_nothing_is_written_where_the_plan_is_wrong(photos, tmp_path):
    with pytest.raises(InputError, match="no format 'gif'; known are overlay, index"):
        Outputs([photos], tmp_path / "out", formats=("gif",))
    with pytest.raises(InputError, match="is an image that is read"):
        Outputs([photos], photos, formats=("index",), overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file/out cannot be written"):
        Outputs([photos], tmp_path / "file" / "out")
    assert not (tmp_path / "out").exists()


def test_existing_files_are_replaced_only_on_request(segmenter, photos, tmp_path):
    out = tmp_path / "out"
    segment_files(segmenter, Outputs([photos], out, formats=("index",)), LABELS)
    with pytest.raises(InputError, match=r"a\.png and 3 more would be overwritten"):
        Outputs([photos], out, formats=("index",))
    report = segment_files(
        segmenter, Outputs([photos], out, formats=("index",), overwrite=True), ["sky"]
    )
    assert report.num_done == 4
    assert np.asarray(Image.open(out / "a.png")).max() == 0
