"""Folders of images segmented from Python."""

import json

import numpy as np
import pytest
from PIL import Image

from groupvit import Background, InputError, Segmenter, image_files
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
    assert (
        "is not a JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF image" in report.failed[photos / "b.jpg"]
    )
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


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (
            ["x.jpg", "x.overlay.jpg"],
            {"x.jpg.overlay.png", "x.jpg.png", "x.overlay.jpg.overlay.png", "x.overlay.jpg.png"},
        ),
        (
            ["a.jpg", "a.png"],
            {"a.jpg.overlay.png", "a.jpg.png", "a.png.overlay.png", "a.png.png"},
        ),
        (
            ["a.jpg", "a.png", "a.jpg.webp"],
            {
                *("a.jpg.overlay.png", "a.jpg.png", "a.png.overlay.png", "a.png.png"),
                *("a.jpg.webp.overlay.png", "a.jpg.webp.png"),
            },
        ),
        (
            ["a.jpg", "a.png/b.jpg"],
            {"a.jpg.overlay.png", "a.jpg.png", "a.png/b.jpg.overlay.png", "a.png/b.jpg.png"},
        ),
    ],
)
def test_no_two_images_have_a_file_of_the_same_path(segmenter, street, tmp_path, inputs, expected):
    for seed, name in enumerate(inputs):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(street(40, 60, seed)).save(tmp_path / "in" / name)
    outputs = Outputs([tmp_path / "in"], tmp_path / "out", formats=("overlay", "index"))
    report = segment_files(segmenter, outputs, LABELS)
    assert report.num_done == len(inputs)
    assert set(names(tmp_path / "out")) == expected
    assert len(outputs.written) == len(set(outputs.written)) == 2 * len(inputs)


def test_files_that_no_name_keeps_apart_are_refused_before_any_work(street, tmp_path):
    for seed, name in enumerate(["a.jpg", "a.png", "a.jpg.overlay.jpg", "a.jpg.overlay.png"]):
        Image.fromarray(street(40, 60, seed)).save(tmp_path / name)
    (tmp_path / "b.jpg.png").mkdir()
    for name in ("b.jpg", "b.png", "b.jpg.png/c.jpg"):
        Image.fromarray(street(40, 60, 1)).save(tmp_path / name)
    with pytest.raises(InputError, match="would have the same path; rename one of them"):
        Outputs([tmp_path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_results_in_the_folder_of_the_images_are_not_segmented_again(segmenter, photos):
    for out in (photos / "out", photos / "out", photos / "other", photos):
        outputs = Outputs([photos], out, formats=("overlay", "groups"), overwrite=True)
        assert [image.name.as_posix() for image in outputs.images] == [
            *("a.png", "b.jpg", "c.png", "trip/d.webp")
        ]
        segment_files(segmenter, outputs, LABELS)
    assert "files written by groupvit: " in outputs.skipped


def test_leftovers_of_a_killed_run_are_removed_but_not_those_of_others(photos, tmp_path):
    (tmp_path / "out").mkdir()
    first = image_files.search([photos]).images[0].name.with_suffix("").name
    for name in (f"{first}.overlay.png", "coco.json", "other.png"):
        (tmp_path / "out" / f".partial-0123abcd-{name}").touch()
    Outputs([photos], tmp_path / "out")
    assert names(tmp_path / "out") == [".partial-0123abcd-other.png"]
