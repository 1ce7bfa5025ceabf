"""Pascal Context from the JSON file of its authors, without their program.

`trainval_merged.json` lists the images of VOC 2010 and their regions: run lengths (compressed, as
in COCO) and one of 459 categories. The 59 frequent ones are the classes, painted in the order of
the file; pixels without a region are background (Mottaghi et al. 2014).
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.files import Pair, Read
from groupvit.values import LARGEST_ANNOTATIONS, read_json

CATEGORIES = (
    *(0, 2, 9, 18, 19, 22, 23, 25, 31, 33, 34, 44, 45, 46, 59, 65, 68, 72, 80, 85, 98, 104),
    *(105, 113, 115, 144, 158, 159, 162, 187, 189, 207, 220, 232, 258, 259, 260, 284, 295, 296),
    *(308, 324, 326, 347, 349, 354, 355, 360, 366, 368, 397, 415, 416, 420, 424, 427, 440, 445),
    *(454, 458),
)
"""Category of every class, the background first."""


def annotated(file: Path, images: Path) -> tuple[list[Pair], Read]:
    """Validation images of the file, and a function that paints their masks.

    Args:
        file: `trainval_merged.json`, 590 MB.
        images: Folder of the images of VOC 2010.

    Raises:
        InputError: The file is missing or is another file, or pycocotools, which decodes run
            lengths, is not installed.
    """
    try:
        from pycocotools import mask as run_lengths
    except ModuleNotFoundError:
        raise InputError(
            f"reading {file} needs pycocotools; install it with pip install 'groupvit[eval]'"
        ) from None
    names, regions = _load(file)

    def read(pair: Pair, size: tuple[int, int]) -> UInt8[np.ndarray, "height width"]:
        mask = np.zeros(size, np.uint8)
        for category, runs in regions[names[pair.image.name]]:
            if tuple(runs["size"]) != size:
                raise InputError(f"{file} has another size for {pair.image.name} than the image")
            mask[run_lengths.decode(runs).astype(bool)] = category
        return mask

    return [Pair(images / name, file) for name in names], read


Region = tuple[int, dict[str, Any]]
"""Class and run lengths."""


def _load(file: Path) -> tuple[dict[str, int], dict[int, list[Region]]]:
    """Ids of the validation images by name, and regions by id."""
    try:
        values = read_json(file, largest=LARGEST_ANNOTATIONS)
        images = {
            image["file_name"]: image["image_id"]
            for image in values["images"]
            if image["phase"] == "val"
        }
        wanted, regions = set(images.values()), defaultdict[int, list[Region]](list)
        for region in values["annos_segmentation"]:
            if region["image_id"] in wanted:
                number = CATEGORIES.index(region["category_id"])
                regions[region["image_id"]].append((number, region["segmentation"]))
    except FileNotFoundError:
        raise InputError(f"there is no file {file}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is not the file of that name: {error!r}") from None
    return images, regions
