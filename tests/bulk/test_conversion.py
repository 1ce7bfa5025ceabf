"""Results of shards as COCO, PNG and YOLO, and the run lengths that they hold."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO

from groupvit import InputError, read_masks
from groupvit.bulk import results
from groupvit.bulk.conversion import convert
from groupvit.formats import run_lengths
from groupvit.segmentation.manifest import Manifest

masks_of_any_shape = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40))


@given(masks_of_any_shape)
def test_run_lengths_are_those_of_pycocotools_and_come_back(mask):
    lengths = run_lengths.run_lengths(mask)
    text = run_lengths.compress(lengths)
    encoded = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert text == encoded["counts"].decode()
    assert np.array_equal(run_lengths.to_mask(run_lengths.decompress(text), mask.shape), mask)


@given(st.text(max_size=12))
def test_texts_that_are_no_run_lengths_are_refused_or_read(text):
    try:
        lengths = run_lengths.decompress(text)
    except ValueError:
        return
    assert lengths.ndim == 1


def row(key, label_map, error=""):
    """Row of a label map without background."""
    ids = () if error else tuple(np.unique(label_map).tolist())
    counts = [run_lengths.compress(run_lengths.run_lengths(label_map == label)) for label in ids]
    size = (0, 0) if error else label_map.shape
    return results.Row(key, *size, ids, tuple(counts), tuple(0.5 for _ in ids), error)


RING = np.zeros((6, 8), np.uint8)
RING[1:5, 1:6] = 1
RING[2:4, 2:5] = 0  # a hole


@pytest.fixture
def masks(tmp_path):
    """Results of two images and one that could not be read."""
    folder = str(tmp_path / "out")
    rows = [row("a", RING), row("b", np.ones((4, 4), np.uint8)), row("c", RING, "damaged")]
    with results.new(folder, "s-000", "parquet") as write:
        for one in rows:
            write(one, None)
    manifest = Manifest(
        settings={"labels": ["sky", 'a "dog"/hound'], "output": ["parquet"]},
        inputs={"s-000": "1", "s-001": "1"},
    )
    (tmp_path / "out/manifest.json").write_text(manifest.to_text(), "utf-8")
    return read_masks(folder)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of pycocotools
def test_coco_has_scores_and_is_read_by_pycocotools(masks, tmp_path):
    assert convert(masks, "coco", tmp_path / "coco") == (2, 1)
    coco = COCO(tmp_path / "coco/coco.json")
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == [
        "s-000/a",
        "s-000/b",
    ]
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert [one["category_id"] for one in annotations] == [1, 2]
    assert np.array_equal(coco.annToMask(annotations[1]), RING)
    assert annotations[1]["bbox"] == [1, 1, 5, 4]
    assert annotations[1]["area"] == RING.sum()
    assert {one["score"] for one in annotations} == {0.5}


def test_png_has_a_mask_for_each_label(masks, tmp_path):
    convert(masks, "png", tmp_path / "png")
    found = {path.name for path in (tmp_path / "png/s-000/a").iterdir()}
    assert found == {"sky.png", 'a "dog"-hound.png'}
    image = Image.open(tmp_path / 'png/s-000/a/a "dog"-hound.png')
    assert image.mode == "1"
    assert np.array_equal(np.asarray(image), RING == 1)


def test_the_polygons_of_yolo_cover_the_same_pixels(masks, tmp_path):
    convert(masks, "yolo", tmp_path / "yolo")
    names = re.findall(r"^  \d+: (.*)$", (tmp_path / "yolo/data.yaml").read_text("utf-8"), re.M)
    assert [json.loads(name) for name in names] == ["sky", 'a "dog"/hound']
    lines = (tmp_path / "yolo/labels/s-000/a.txt").read_text().splitlines()
    areas = {0: 0.0, 1: 0.0}
    for line in lines:
        label, *values = line.split()
        x, y = np.array(values, float).reshape(-1, 2).T * [[8], [6]]
        areas[int(label)] += abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    assert areas[1] == pytest.approx(RING.sum(), abs=1e-3)  # the hole is not covered
    assert areas[0] == pytest.approx((RING == 0).sum(), abs=1e-3)


def test_an_existing_folder_and_names_that_lead_out_are_refused(masks, tmp_path):
    (tmp_path / "coco").mkdir()
    with pytest.raises(InputError, match="coco exists already"):
        convert(masks, "coco", tmp_path / "coco")
    with results.new(masks.folder, "s-001", "parquet") as write:
        write(row("../../../evil", RING), None)
    with pytest.raises(InputError, match="leads out of"):
        convert(read_masks(masks.folder), "png", tmp_path / "png")
    assert not (tmp_path / "png").exists()
