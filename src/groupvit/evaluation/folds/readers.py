"""Benchmarks with folds on disk: PASCAL-5i, COCO-20i, folders of your own, and the storybook.

PASCAL-5i and COCO-20i are read as the few-shot literature stores them:

    VOC2012/{JPEGImages, SegmentationClassAug, ImageSets/Segmentation/val.txt}
    COCO2014/{train2014, val2014, annotations/{train2014, val2014}}
    splits/pascal/{trn, val}/fold0.txt ...    a line for each episode: 2007_000033__01
    splits/coco/{trn, val}/fold0.pkl ...      class (from 0): names of images below COCO2014

or below VOCdevkit, as the devkit of PASCAL VOC unpacks. The lists leave out small things. Without
them, every class of every image is tested, which is another, harder test.
"""

import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from groupvit import files
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.benchmarks.files import Files, Pair, identity
from groupvit.evaluation.benchmarks.published import PUBLISHED
from groupvit.evaluation.benchmarks.scenes import SEED, TRAINING_SEED, Scenes
from groupvit.evaluation.folds.cutting import (
    COCO,
    PASCAL,
    Episode,
    Fold,
    Folded,
    consecutive,
    interleaved,
    of_names,
)

PASCAL_5I, COCO_20I = "pascal-5i", "coco-20i"
"""Names on the command line."""
NUM_COCO_FOLDS = 4
Show = Callable[[Benchmark], tuple[Episode, ...]]
"""Function that finds every class of every image: `shown_in`."""
_PASCAL_EXPECTED = (
    "VOC2012/{JPEGImages, SegmentationClassAug or SegmentationClass, "
    "ImageSets/Segmentation/val.txt}, and for the published episodes splits/pascal/val/fold0.txt"
)
_COCO_EXPECTED = (
    "COCO2014/{val2014, annotations/val2014}, and for the published episodes "
    "splits/coco/val/fold0.pkl"
)
_LARGEST_LIST = 2**26
"""Largest list that is read [bytes]."""


def pascal_5i(root: Path, show: Show, *, training: bool = False) -> Folded:
    """PASCAL-5i on the images of PASCAL VOC 2012 val.

    Args:
        root: Folder of VOC2012 and splits.
        show: Function that finds the classes of the images.
        training: Take the images of all lists in splits/pascal/trn, to train on.

    Raises:
        InputError: Files are missing, or a list names what does not exist.
    """
    voc = _voc(root)
    folds = consecutive(range(1, 21))
    if training:
        lists = [root / f"splits/pascal/trn/fold{fold.name}.txt" for fold in folds]
        lines = [line for file in lists for line in _lines(file, "splits/pascal/trn")]
        stems = sorted({line.rpartition("__")[0] for line in lines})
    else:
        stems = _lines(voc / "ImageSets/Segmentation/val.txt", _PASCAL_EXPECTED)
    benchmark = _pascal(voc, stems)
    return Folded(
        benchmark=benchmark,
        name="PASCAL-5i",
        folds=folds,
        shown=show(benchmark),
        listed={} if training else listed(root / "splits/pascal/val", folds, benchmark),
        is_trained_on=False,
        published=PASCAL,
    )


def coco_20i(root: Path, show: Show, *, training: bool = False) -> Folded:
    """COCO-20i on the images of COCO val2014.

    Args:
        root: Folder of COCO2014 and splits.
        show: Function that finds the classes of the images.
        training: Take the images of train2014, to train on.

    Raises:
        InputError: Files are missing, or a list names what does not exist.
    """
    benchmark = _coco(root, "train2014" if training else "val2014")
    folds = interleaved(range(1, 81), NUM_COCO_FOLDS)
    lists = {fold: root / f"splits/coco/val/fold{fold.name}.pkl" for fold in folds}
    return Folded(
        benchmark=benchmark,
        name="COCO-20i",
        folds=folds,
        shown=show(benchmark),
        listed={
            fold.name: _episodes(_pickled(file), fold, benchmark, file)
            for fold, file in lists.items()
            if file.exists() and not training
        },
        is_trained_on=False,
        published=COCO,
    )


def own(
    benchmark: Benchmark, show: Show, *, held_out: Sequence[str] = (), lists: Path | None = None
) -> Folded:
    """Benchmark of your own in folds of five classes, or with the classes held out that you name.

    Args:
        benchmark: Images with masks, which are tested and trained on.
        show: Function that finds the classes of the images.
        held_out: Names of the held-out classes; empty: folds.
        lists: Folder of lists of episodes, fold0.txt and so on; None: every class of every image
            is tested.

    Raises:
        InputError: A name is no class, or a list names what does not exist.
    """
    numbers = range(int(benchmark.has_background), len(benchmark.labels) + benchmark.has_background)
    labels = dict(zip(numbers, benchmark.labels, strict=True))
    folds = (of_names(held_out, labels),) if held_out else consecutive(numbers)
    name = "held-out classes of" if held_out else "5i over"
    return Folded(
        benchmark=benchmark,
        name=f"{name} {benchmark.name}",
        folds=folds,
        shown=show(benchmark),
        listed=listed(lists, folds, benchmark, missing=False) if lists else {},
    )


def storybook(
    num_scenes: int, show: Show, *, held_out: Sequence[str] = (), training: bool = False
) -> Folded:
    """STORY-5i: the 15 things of drawn scenes in three folds; stuff is background.

    Args:
        num_scenes: Number of scenes.
        show: Function that finds the classes of the images.
        held_out: Names of the held-out classes; empty: folds.
        training: Draw other scenes, to train on.

    Raises:
        InputError: A name is no class.
    """
    scenes = Scenes(num=num_scenes, seed=TRAINING_SEED if training else SEED, only_things=True)
    labels = dict(enumerate(scenes.labels, start=1))
    folds = (of_names(held_out, labels),) if held_out else consecutive(tuple(labels))
    return Folded(
        benchmark=scenes,
        name="STORY-5i" if not held_out else "held-out classes of the storybook",
        folds=folds,
        shown=show(scenes),
        is_trained_on=False,
    )


def listed(
    folder: Path, folds: Sequence[Fold], benchmark: Benchmark, *, missing: bool = True
) -> Mapping[str, tuple[Episode, ...]]:
    """Episodes of every fold that has a list: lines such as 2007_000033__01.

    Args:
        folder: Folder of the lists, fold0.txt and so on.
        folds: Folds.
        benchmark: Images, in files.
        missing: Folds may have no list.

    Raises:
        InputError: A list cannot be read, or names an image or a class that does not exist.
    """
    found = {}
    for fold in folds:
        file = folder / f"fold{fold.name}.txt"
        if not file.exists() and missing:
            continue
        pairs = []
        for line in _lines(file, f"{folder}/fold0.txt and so on"):
            stem, mark, number = line.rpartition("__")
            if not mark or not (number.isascii() and number.isdigit()):
                raise InputError(
                    f"{file} has the line {line!r}; write IMAGE__CLASS, such as 2007_000033__01"
                )
            pairs.append((stem, int(number)))
        found[fold.name] = _episodes(pairs, fold, benchmark, file)
    return found


def _episodes(
    pairs: Sequence[tuple[str, int]], fold: Fold, benchmark: Benchmark, file: Path
) -> tuple[Episode, ...]:
    """Episodes of pairs of an image's stem and the number of a class."""
    if not isinstance(benchmark, Files):
        raise InputError(f"{file} lists images, and {benchmark.name} has no files")
    indices = {pair.image.stem: index for index, pair in enumerate(benchmark.pairs)}
    for stem, number in pairs:
        if stem not in indices:
            raise InputError(f"{file} names {stem!r}, which is no image of {benchmark.name}")
        if number not in fold.held_out:
            raise InputError(
                f"{file} names the class {number} for {stem}, and fold {fold.name} has the classes "
                f"{', '.join(map(str, fold.held_out))}; give the lists of these folds"
            )
    return tuple(Episode(indices[stem], number) for stem, number in pairs)


def _voc(root: Path) -> Path:
    below = root / "VOCdevkit/VOC2012"
    return below if below.is_dir() else root / "VOC2012"


def _pascal(voc: Path, stems: Sequence[str]) -> Files:
    masks = voc / "SegmentationClassAug"
    if not masks.is_dir():
        masks = voc / "SegmentationClass"
    pairs = [Pair(voc / f"JPEGImages/{stem}.jpg", masks / f"{stem}.png") for stem in stems]
    return _files(PASCAL_5I, "PASCAL-5i", "voc", pairs, _PASCAL_EXPECTED)


def _coco(root: Path, split: str) -> Files:
    coco = root / "COCO2014"
    images = sorted((coco / split).glob("*.jpg"))
    if not images:
        raise InputError(
            f"there are no images {coco / split}/*.jpg; COCO-20i is expected as {root}/"
            f"{_COCO_EXPECTED}; name another folder with --root"
        )
    masks = coco / "annotations" / split
    pairs = [Pair(image, masks / f"{image.stem}.png") for image in images]
    return _files(COCO_20I, "COCO-20i", "coco_object", pairs, _COCO_EXPECTED)


def _files(key: str, name: str, classes: str, pairs: Sequence[Pair], expected: str) -> Files:
    for path in (path for pair in pairs for path in pair):
        if not path.is_file():
            raise InputError(
                f"there is no file {path}; {name} is expected as {expected}, below --root"
            )
    labels = next(one.labels for one in PUBLISHED.values() if one.classes == classes)
    return Files(
        key=key,
        name=name,
        labels=labels,
        has_background=True,
        pairs=tuple(pairs),
        values=identity(len(labels) + 1),
        listed=f"the list of {name}",
    )


def _lines(file: Path, expected: str) -> list[str]:
    try:
        return files.read_text(file, largest=_LARGEST_LIST).split()
    except (OSError, UnicodeDecodeError):
        raise InputError(f"there is no list {file}; expected is {expected}, below --root") from None


class _PlainUnpickler(pickle.Unpickler):
    """Reader of pickled dicts, lists, numbers and texts, which builds no other object."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Refuse every object of a class, so that no code of the file runs."""
        raise pickle.UnpicklingError(f"it holds an object of {module_name}.{global_name}")


def _pickled(file: Path) -> list[tuple[str, int]]:
    """Stems of images with the numbers of their classes, from 1."""
    try:
        files.check_readable(file)
        if file.stat().st_size > _LARGEST_LIST:
            raise ValueError(f"it is larger than {_LARGEST_LIST:,} bytes")
        with file.open("rb") as stream:
            values = _PlainUnpickler(stream).load()
        return [(Path(name).stem, number + 1) for number, names in values.items() for name in names]
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        EOFError,
        ImportError,
        pickle.UnpicklingError,
    ) as error:
        raise InputError(
            f"{file} is no list of COCO-20i ({error!s:.60}); it is a pickled dict of a class and "
            "the names of its images"
        ) from None
