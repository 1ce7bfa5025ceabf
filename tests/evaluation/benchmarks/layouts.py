"""Small folders in the layouts of the published benchmarks."""

import json

import numpy as np
from PIL import Image

SIZE = (6, 4)
"""Width and height of every image."""


def image(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE, (value, 0, 0)).save(path)


def mask(path, values):
    """A mask whose rows repeat the values, at most six."""
    path.parent.mkdir(parents=True, exist_ok=True)
    row = np.resize(np.array(values, np.uint8), SIZE[0])
    Image.fromarray(np.tile(row, (SIZE[1], 1))).save(path)


def voc(root, values):
    base = root / "VOCdevkit/VOC2012"
    for stem in ("2007_000033", "2007_000042", "2008_000001"):  # the last is not in the list
        image(base / f"JPEGImages/{stem}.jpg")
        mask(base / f"SegmentationClass/{stem}.png", values)
    (base / "ImageSets/Segmentation").mkdir(parents=True)
    (base / "ImageSets/Segmentation/val.txt").write_text("2007_000042\n2007_000033\n")


def context(root, values):
    base = root / "VOCdevkit/VOC2010"
    image(base / "JPEGImages/2008_000002.jpg")
    mask(base / "SegmentationClassContext/2008_000002.png", values)
    (base / "ImageSets/SegmentationContext").mkdir(parents=True)
    (base / "ImageSets/SegmentationContext/val.txt").write_text("2008_000002\n")


def coco(root, values):
    base = root / "coco_stuff164k"
    image(base / "images/val2017/000000000139.jpg")
    mask(base / "annotations/val2017/000000000139.png", values)


def cityscapes(root, values, *, ending):
    name = "frankfurt/frankfurt_000000_000294"
    image(root / f"cityscapes/leftImg8bit/val/{name}_leftImg8bit.png")
    mask(root / f"cityscapes/gtFine/val/{name}_gtFine_{ending}.png", values)


def ade20k(root, values):
    base = root / "ade/ADEChallengeData2016"
    image(base / "images/validation/ADE_val_00000001.jpg")
    mask(base / "annotations/validation/ADE_val_00000001.png", values)


def context_json(root, regions, *, run_lengths):
    """The file of Pascal Context: (category, mask) in the order in which they are painted."""
    base = root / "VOCdevkit/VOC2010"
    annotations = []
    for category, region in regions:
        runs = run_lengths.encode(np.asfortranarray(region.astype(np.uint8)))
        runs["counts"] = runs["counts"].decode("ascii")
        annotations.append({"image_id": 7, "category_id": category, "segmentation": runs})
    names = ("2008_000002.jpg", "2008_000003.jpg")
    for name in names:
        image(base / f"JPEGImages/{name}")
    images = [
        {"image_id": 7, "file_name": names[0], "phase": "val"},
        {"image_id": 8, "file_name": names[1], "phase": "train"},
    ]
    values = {"images": images, "annos_segmentation": annotations}
    (base / "trainval_merged.json").write_text(json.dumps(values))
