"""Cases from the field: segmentation, evaluation and integrations; see cases.py."""

import contextlib
import importlib.util
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.case_runs import EXAMPLE, MODEL, Case, Done, Seen, groupvit, refusal


def segmented(out: Path, *arguments: object) -> Done:
    """Segment into the folder `out`."""
    return groupvit("segment", *arguments, *MODEL, "--out", out / "out")


def files(folder: Path) -> list[str]:
    """Names of the files in a folder."""
    return sorted(path.name for path in folder.glob("*"))


def binary_masks(case: Path, _: Path) -> Seen:
    """Masks of 0 and 255."""
    plain = refusal(groupvit("evaluate", case, *MODEL, "--no-floors"), "255", "--mask-values")
    mapped = groupvit(
        "evaluate", case, *MODEL, "--no-floors", "--mask-values", "0=background", "255=tree"
    )
    miou = re.findall(r"mIoU\s+([\d.]+)", mapped.text)
    right = plain.right and mapped.code == 0 and float(miou[0]) > 70
    return Seen(f"{plain.text}; with the map mIoU {miou[0] if miou else '-'}", right)


def long_name(case: Path, out: Path) -> Seen:
    """A name of 240 bytes."""
    done = segmented(out, case, "--labels", "boat", "sea")
    number = len(list((out / "out").glob("*.overlay.png")))
    return Seen(f"exit {done.code}, {number} of 3 images", done.code == 0 and number == 3)


def cvat_polygons(_: Path, __: Path) -> Seen:
    """Polygons, drawn one over the other."""
    spec = importlib.util.spec_from_file_location("cvat", "integrations/cvat_function.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names = ["cloud", "sun", "bird", "boat", "house", "tree", "sea", "sky"]
    image = Image.open(EXAMPLE).convert("RGB")
    function = module.create(",".join(names), model="storybook")
    shapes = function.detect(
        SimpleNamespace(conv_mask_to_poly=True, conf_threshold=None, frame_name="x"), image
    )
    truth = function._segmenter(image, names).label_map
    canvas = Image.new("L", image.size, 255)
    for shape in shapes:
        points = np.array(shape["points"]).reshape(-1, 2) - 0.5
        ImageDraw.Draw(canvas).polygon(list(map(tuple, points)), fill=int(shape["label_id"]))
    drawn = np.asarray(canvas)
    kept = {
        name: float((drawn == number)[truth == number].mean())
        for number, name in enumerate(names)
        if (truth == number).any()
    }
    worst = min(kept, key=lambda name: kept[name])
    return Seen(f"at least {kept[worst]:.0%} of each label is left ({worst})", kept[worst] > 0.8)


def labels_with_bom(case: Path, out: Path) -> Seen:
    """A byte order mark before the first label."""
    labels = case / "labels.txt"
    done = segmented(out, EXAMPLE, "--labels-file", labels, "--format", "coco")
    values = json.loads((out / "out" / "coco.json").read_text()) if done.code == 0 else {}
    names = [one["name"] for one in values.get("categories", [])]
    return Seen(f"categories {names}", bool(names) and names[0] == "boat")


def large_metadata(case: Path, out: Path) -> Seen:
    """PNG files with more than 1 MB of ICC profile or text."""
    done = segmented(out, case, "--labels", "boat")
    number = len(list((out / "out").glob("*.overlay.png")))
    return Seen(f"exit {done.code}, {number} of 3 images", done.code == 0 and number == 3)


def skipped_files(case: Path, out: Path) -> Seen:
    """Files of other kinds."""
    done = segmented(out, case, "--labels", "boat")
    line = " ".join(line for line in done.text.splitlines() if "HEIC" in line.upper())
    number = len(list((out / "out").glob("*.overlay.png")))
    return Seen(f"{number} images; {line}", number == 6 and "pillow-heif" in line)


def jfif(case: Path, out: Path) -> Seen:
    """A JPEG named .jfif."""
    done = segmented(out, case, "--labels", "boat")
    return Seen(f"exit {done.code}: {files(out / 'out')}", done.code == 0)


def chinese_labels(case: Path, out: Path) -> Seen:
    """Labels that the font of the overlay lacks."""
    from groupvit.visualization.lettering import printable

    done = segmented(out, case / "a.jpg", "--labels", "船", "海", "空")
    names = [printable(one, otherwise=f"label {index}") for index, one in enumerate("船海空")]
    return Seen(f"exit {done.code}, drawn as {names}", done.code == 0 and len(set(names)) == 3)


def turned_images(case: Path, _: Path) -> Seen:
    """Images with an EXIF orientation and masks in that of the file."""
    done = groupvit("evaluate", case, *MODEL, "--no-floors")
    miou = re.findall(r"mIoU\s+([\d.]+)", done.text)
    if done.code == 0 and miou:
        return Seen(f"evaluated, masks turned like their images, mIoU {miou[0]}", right=True)
    return refusal(done, "EXIF")


def coco_info(_: Path, out: Path) -> Seen:
    """`info` of coco.json."""
    from pycocotools.coco import COCO

    segmented(out, EXAMPLE, "--labels", "boat", "sea", "--format", "coco")
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        COCO(str(out / "out" / "coco.json")).info()
    return Seen(" ".join(text.getvalue().split()[-4:]), "version" in text.getvalue())


def label_studio(_: Path, __: Path) -> Seen:
    """Labels of a project such as Background; the tests do the same with a stand-in."""
    tests = "tests/integrations/test_stand_ins.py"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests, "-k", "studio"],
        capture_output=True,
        text=True,
        check=False,
    )
    last = re.sub(r" in .*", "", Done(done.returncode, done.stdout).last())
    return Seen(f"`pytest {tests} -k studio`: {last}", done.returncode == 0)


IMAGE_CASES = {
    "images-01_binary_masks_0_255": Case(
        "refused with a map as way out; 82.7 with it", binary_masks
    ),
    "images-03_long_name": Case("three images", long_name),
    "images-04_cvat_polygons": Case("labels inside others are left", cvat_polygons),
    "images-05_labels_file_bom": Case("first category `boat`", labels_with_bom),
    "images-06_png_big_metadata": Case("three images", large_metadata),
    "images-07_silently_skipped": Case("all but HEIC are read, which is named", skipped_files),
    "images-08_jfif_only": Case("the image", jfif),
    "images-11_label_studio_background": Case(
        "predictions for all of these projects", label_studio
    ),
    "images-14_overlay_cjk": Case("names that differ", chinese_labels),
    "images-17_exif_mask": Case("masks turned, or a sentence about EXIF", turned_images),
    "images-19_coco_info": Case("pycocotools prints it", coco_info),
}
