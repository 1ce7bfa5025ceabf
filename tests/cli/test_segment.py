import json

import numpy as np
import pytest
from PIL import Image

from tests.lively import size_of, street

LABELS = ("--labels", "dog|hound", "cat", "grass")


@pytest.fixture
def segment(run, model, tmp_path):
    """Segments with the small model into the folder ``out``."""

    def segment(*arguments, out=None):
        out = out or tmp_path / "out"
        return run("segment", *arguments, "--model", model, "--out", out)

    return segment


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_one_image_gives_an_overlay_and_a_label_map(segment, photos, tmp_path):
    code, printed, complaints = segment(photos / "dog.jpg", *LABELS)
    assert (code, complaints) == (0, "")
    assert files(tmp_path / "out") == {"dog.overlay.png", "dog.png"}
    assert size_of(tmp_path / "out" / "dog.png") == (60, 40)
    assert "3 labels" in printed
    assert "dog.overlay.png" in printed


def test_a_folder_keeps_its_order_below_the_output(segment, photos, tmp_path):
    code, printed, _ = segment(photos, *LABELS, "--format", "index")
    assert code == 0
    assert files(tmp_path / "out") == {"dog.png", "cat.png", "trip/boat.png"}
    assert "3 images in" in printed


def test_every_format_is_written(segment, photos, tmp_path):
    formats = ("overlay", "index", "groups", "coco", "geojson", "npz")
    code, _, complaints = segment(photos / "dog.jpg", *LABELS, "--format", *formats)
    assert (code, complaints) == (0, "")
    suffixes = ("overlay.png", "png", "groups.png", "geojson", "npz")
    assert files(tmp_path / "out") == {"coco.json", *(f"dog.{suffix}" for suffix in suffixes)}


def test_the_coco_file_holds_all_images(segment, photos, tmp_path):
    segment(photos, *LABELS, "--format", "coco", "index")
    coco = json.loads((tmp_path / "out" / "coco.json").read_text())
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    assert sorted(names.values()) == ["cat.png", "dog.jpg", "trip/boat.webp"]
    ids = [annotation["id"] for annotation in coco["annotations"]]
    assert len(set(ids)) == len(ids)
    for image_id, name in names.items():
        stem = name.rsplit(".", 1)[0]
        labels = np.unique(np.asarray(Image.open(tmp_path / "out" / f"{stem}.png")))
        found = [a["category_id"] for a in coco["annotations"] if a["image_id"] == image_id]
        assert found == [label + 1 for label in labels]


def test_a_broken_image_does_not_stop_the_others(segment, photos, tmp_path):
    (photos / "broken.jpg").write_text("this is a letter")
    code, _, complaints = segment(photos, *LABELS, "--format", "index")
    assert code == 1
    assert files(tmp_path / "out") == {"dog.png", "cat.png", "trip/boat.png"}
    assert complaints.count("\n") == 1
    assert "broken.jpg is not a JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF image" in complaints


def test_a_image_that_the_protocol_refuses_does_not_stop_the_others(segment, photos, tmp_path):
    Image.fromarray(street(1, 3000)).save(photos / "thin.png")
    code, _, complaints = segment(
        photos, *LABELS, "--format", "index", "--protocol", "groupvit", "--batch-size", "4"
    )
    assert code == 1
    assert files(tmp_path / "out") == {"dog.png", "cat.png", "trip/boat.png"}
    assert "too thin" in complaints


def test_nothing_is_overwritten_unless_asked(segment, photos, tmp_path):
    segment(photos / "dog.jpg", *LABELS)
    before = (tmp_path / "out" / "dog.png").stat().st_mtime_ns
    code, _, complaints = segment(photos, *LABELS)
    assert code == 2
    assert "and 1 more would be overwritten" in complaints
    assert (tmp_path / "out" / "dog.png").stat().st_mtime_ns == before
    assert segment(photos, *LABELS, "--overwrite")[0] == 0
    assert (tmp_path / "out" / "dog.png").stat().st_mtime_ns > before


def test_a_image_that_is_read_is_never_replaced(segment, photos):
    before = (photos / "cat.png").read_bytes()
    code, _, complaints = segment(photos, *LABELS, "--overwrite", out=photos)
    assert code == 2
    assert "cat.png is an image that is read" in complaints
    assert (photos / "cat.png").read_bytes() == before


def test_images_of_one_stem_keep_apart(segment, photos, tmp_path):
    Image.fromarray(street(20, 20)).save(photos / "dog.png")
    assert segment(photos, *LABELS, "--format", "index")[0] == 0
    assert {"dog.jpg.png", "dog.png.png", "cat.png"} <= files(tmp_path / "out")


def test_labels_may_come_from_a_file(segment, photos, tmp_path):
    (tmp_path / "words.txt").write_text("dog|hound\n\ncat\ngrass\n")
    segment(photos / "dog.jpg", "--labels-file", tmp_path / "words.txt", "--format", "npz")
    saved = np.load(tmp_path / "out" / "dog.npz", allow_pickle=False)
    assert saved["labels"].tolist() == ["dog", "cat", "grass"]


@pytest.mark.parametrize(
    "background",
    [
        ("--background", "0.5"),
        ("--background-words", "wall", "floor"),
        ("--background-thresholds", "dog=0.9", "cat = 0.2"),
    ],
)
def test_a_background_is_the_first_label(segment, photos, tmp_path, background):
    assert segment(photos / "dog.jpg", *LABELS, *background, "--format", "npz")[0] == 0
    saved = np.load(tmp_path / "out" / "dog.npz", allow_pickle=False)
    assert saved["labels"].tolist() == ["background", "dog", "cat", "grass"]


def test_parts_of_the_protocol_can_be_changed(segment, photos, tmp_path):
    changed = ("--short-side", "64", "--window", "32", "--templates", "subset", "--top-labels", "2")
    assert segment(photos / "dog.jpg", *LABELS, *changed, "--format", "npz")[0] == 0
    groups = np.load(tmp_path / "out" / "dog.npz", allow_pickle=False)["group_map"]
    assert groups.max() >= 5  # more than one window


def test_no_partial_file_is_left(segment, photos, tmp_path):
    segment(photos, *LABELS, "--format", "index", "npz", "coco")
    assert not [name for name in files(tmp_path / "out") if "partial" in name]


def test_commas_separate_labels_on_the_command_line_and_in_files(run, model, photos, tmp_path):
    file = tmp_path / "labels.txt"
    file.write_text("\ufeff0: sky\r\n1: car|taxi\r\n", encoding="utf-8")
    ways = [["--labels", "sky,car|taxi"], ["--labels", "sky,", "car|taxi"], ["--labels-file", file]]
    for number, way in enumerate(ways):
        out = tmp_path / str(number)
        code, _, _ = run(
            "segment", photos, *way, "--model", model, "--format", "coco", "--out", out
        )
        assert code == 0
        categories = json.loads((out / "coco.json").read_text("utf-8"))["categories"]
        assert [one["name"] for one in categories] == ["sky", "car"]


def test_an_image_behind_labels_is_named_and_not_a_label(run, model, photos, monkeypatch):
    monkeypatch.chdir(photos)
    for behind in ("dog.jpg", "trip"):
        code, _, complaint = run("segment", "--labels", "a", "b", behind, "--model", model)
        assert code == 2
        assert f"--labels took {behind} as one of its words; write it before --labels" in complaint
    code, _, complaint = run("segment", "cat.png", "--labels", "a", "dog.jpg", "--model", model)
    assert (code, "--labels took dog.jpg" in complaint) == (2, True)
    code, _, _ = run("segment", "cat.png", "--labels", "a", "trip", "--model", model)
    assert code == 0


def test_thresholds_and_quoted_labels_follow_the_same_rule(run, model, photos, tmp_path):
    code, _, complaint = run(
        *("segment", photos, "--labels", '"salt, pepper",dog', "--model", model),
        *("--background-thresholds", '"salt, pepper"=0.5,dog=0.4', "--out", tmp_path / "o"),
    )
    assert (code, complaint) == (0, "")


def test_skipped_files_are_counted_and_named(run, model, photos, tmp_path):
    (photos / "IMG_1.CR2").touch()
    (photos / "scan.jxl").touch()
    code, _, complaint = run(
        "segment", photos, "--labels", "dog", "--model", model, "--out", tmp_path / "o"
    )
    expected = "groupvit: skipped 2 files in formats that are not read: IMG_1.CR2, scan.jxl\n"
    assert (code, complaint) == (0, expected)
