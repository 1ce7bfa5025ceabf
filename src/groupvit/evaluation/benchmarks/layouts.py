"""File layouts of published benchmarks.

The layouts are those of mmsegmentation's documentation, which GroupViT, TCL and others share.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from groupvit import files
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.context import annotated
from groupvit.evaluation.benchmarks.files import (
    UNKNOWN,
    Pair,
    Read,
    Values,
    identity,
    read_mask,
    without_zero,
)
from groupvit.evaluation.scores import IGNORED

Found = tuple[tuple[Pair, ...], Values, Read]
"""Files of a benchmark, classes of the mask values, and the function that reads masks."""

COCO_GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91)
"""Category ids from 1 to 91 that no thing of COCO has."""
CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""Label ids of Cityscapes that are evaluated, in the order of their classes."""

VOC = "VOCdevkit/VOC2012"
CONTEXT = "VOCdevkit/VOC2010"
COCO = "coco_stuff164k"
ADE20K = "ade/ADEChallengeData2016"
CITYSCAPES = "cityscapes"


def voc(root: Path) -> Found:
    """PASCAL VOC 2012 val, with the background as class 0."""
    stems = _list(root / VOC / "ImageSets/Segmentation/val.txt")
    folder = root / VOC
    pairs = [
        Pair(folder / f"JPEGImages/{stem}.jpg", folder / f"SegmentationClass/{stem}.png")
        for stem in stems
    ]
    return _existing(pairs), identity(21), read_mask


def voc20(root: Path) -> Found:
    """PASCAL VOC 2012 val; pixels of the background do not count."""
    pairs, values, read = voc(root)
    return pairs, without_zero(values), read


def context(root: Path) -> Found:
    """Pascal Context val, with the background as class 0: converted masks, or the JSON file."""
    folder = root / CONTEXT
    masks = folder / "SegmentationClassContext"
    if not masks.is_dir():
        pairs, read = annotated(folder / "trainval_merged.json", folder / "JPEGImages")
        return _existing(pairs, masks=False), identity(60), read
    stems = _list(folder / "ImageSets/SegmentationContext/val.txt")
    pairs = [Pair(folder / f"JPEGImages/{stem}.jpg", masks / f"{stem}.png") for stem in stems]
    return _existing(pairs), identity(60), read_mask


def context59(root: Path) -> Found:
    """Pascal Context val; pixels of the background do not count."""
    pairs, values, read = context(root)
    return pairs, without_zero(values), read


def cityscapes(root: Path) -> Found:
    """Cityscapes val: masks of train ids if they exist, else of label ids as downloaded."""
    masks = root / CITYSCAPES / "gtFine/val"
    has_train_ids = any(masks.glob("*/*_gtFine_labelTrainIds.png"))
    ending = "labelTrainIds" if has_train_ids else "labelIds"

    def mask(image: Path) -> Path:
        stem = image.name.removesuffix("_leftImg8bit.png")
        return masks / image.parent.name / f"{stem}_gtFine_{ending}.png"

    pairs = _globbed(root / CITYSCAPES / "leftImg8bit/val", "*/*_leftImg8bit.png", mask)
    if has_train_ids:
        return pairs, identity(19), read_mask
    values = np.full(256, IGNORED)
    values[list(CITYSCAPES_IDS)] = np.arange(19)
    return pairs, values, read_mask


def ade20k(root: Path) -> Found:
    """ADE20K val; pixels of other classes do not count."""
    masks = root / ADE20K / "annotations/validation"
    pairs = _globbed(root / ADE20K / "images/validation", "*.jpg", _same_stem(masks))
    return pairs, without_zero(identity(151)), read_mask


def coco_object(root: Path) -> Found:
    """Things of COCO from the pixel maps of COCO-Stuff, val2017.

    Things are numbered from 1; all other pixels, unlabeled ones too, are background.
    """
    things = _coco_things()
    return _coco(root), np.where(things == UNKNOWN, 0, things + 1), read_mask


def coco_stuff(root: Path) -> Found:
    """Things and stuff of COCO from the same maps: 171 classes."""
    values = _coco_things()
    values[91:182] = np.arange(80, 171)
    values[IGNORED] = IGNORED
    return _coco(root), values, read_mask


def _coco_things() -> Values:
    """Table of the maps, whose values are category ids less 1: classes 0 to 79, others unknown."""
    values = np.full(256, UNKNOWN)
    ids = [number for number in range(1, 91) if number not in COCO_GAPS]
    values[np.array(ids) - 1] = np.arange(80)
    return values


def _coco(root: Path) -> tuple[Pair, ...]:
    masks = root / COCO / "annotations/val2017"
    return _globbed(root / COCO / "images/val2017", "*.jpg", _same_stem(masks))


def _same_stem(masks: Path) -> Callable[[Path], Path]:
    return lambda image: masks / f"{image.stem}.png"


def _list(file: Path) -> list[str]:
    """Stems of images, one per line."""
    try:
        return files.read_text(file).split()
    except (OSError, UnicodeDecodeError):
        raise InputError(f"there is no list of images {file}") from None


def _globbed(folder: Path, pattern: str, mask: Callable[[Path], Path]) -> tuple[Pair, ...]:
    images = sorted(folder.glob(pattern))
    if not images:
        raise InputError(f"there are no images {folder / pattern}")
    return _existing([Pair(image, mask(image)) for image in images])


def _existing(pairs: Iterable[Pair], *, masks: bool = True) -> tuple[Pair, ...]:
    for path in (path for pair in pairs for path in (pair if masks else pair[:1])):
        if not path.is_file():
            raise InputError(f"there is no file {path}")
    return tuple(pairs)
