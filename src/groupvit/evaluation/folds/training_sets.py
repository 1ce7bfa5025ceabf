"""Training sets without the held-out classes: folders with images, masks and classes of their own.

For every fold of a benchmark:

    fold-0/held-out.txt        names of the held-out classes, one in each line
    fold-0/training/           images/, masks/ and classes.txt, which lacks the held-out classes
    fold-0/validation/         the same, for choosing among checkpoints while training; only where
                               the benchmark itself is trained on

The classes that are left are numbered anew. As published, images that show held-out classes are
trained on too, and these pixels are background.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from groupvit import imaging
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.benchmarks.files import Files
from groupvit.evaluation.folds.cutting import Fold, Folded, spread
from groupvit.evaluation.scores import IGNORED
from groupvit.files import new_folder, write_text
from groupvit.formats.index_png import index_png
from groupvit.palette import colors
from groupvit.progress import OnProgress
from groupvit.text.prompts import BACKGROUND, parse_label

HELD_OUT, TRAINING, VALIDATION = "held-out.txt", "training", "validation"
"""Names in the folder of a fold."""


def write_sets(
    out: Path,
    folded: Folded,
    folds: Sequence[Fold],
    *,
    limit: int | None = None,
    with_held_out: bool = False,
    on_progress: OnProgress | None = None,
) -> list[int]:
    """Write the training sets of folds.

    Args:
        out: Folder to write, which must not exist.
        folded: Images to train on.
        folds: Folds to write.
        limit: Maximum number of training images of a fold, spread evenly over all; None: all.
        with_held_out: Train on images that show held-out classes too, whose pixels become
            background, as published.
        on_progress: Called after every image.

    Returns:
        Number of training images of every fold.

    Raises:
        InputError: The folder exists or cannot be written, or a fold has no image to train on, or
            the benchmark has no background that pixels could become.
    """
    if out.exists():
        raise InputError(f"--sets {out} exists; name another folder, or delete it")
    if with_held_out and not folded.benchmark.has_background:
        raise InputError(
            f"{folded.benchmark.name} has no background, which held-out classes become in training "
            "--as-published; leave that option out"
        )
    chosen = [spread(_training(folded, fold, with_held_out=with_held_out), limit) for fold in folds]
    validation = [folded.validation_images(fold) if folded.is_trained_on else [] for fold in folds]
    for fold, images in zip(folds, chosen, strict=True):
        if not images:
            raise InputError(
                f"{folded.name}: every image shows a class of fold {fold.name}, so that none is "
                "left to train on; take more images"
            )
    total, done = sum(map(len, (*chosen, *validation))), 0
    with new_folder(out) as folder:
        for fold, images, kept in zip(folds, chosen, validation, strict=True):
            below = folder / f"fold-{fold.name}"
            for name, some in ((TRAINING, images), (VALIDATION, kept)):
                if some:
                    writer = _Writer(below / name, folded, fold)
                for image in some:
                    writer.add(image)
                    done += 1
                    if on_progress is not None:
                        on_progress(done, total)
            names = [parse_label(folded.labels[number]).name for number in fold.held_out]
            write_text(below / HELD_OUT, "\n".join(names) + "\n")
    return [len(images) for images in chosen]


def _training(folded: Folded, fold: Fold, *, with_held_out: bool) -> list[int]:
    """Images to train on."""
    if not with_held_out:
        return folded.training_images(fold)
    kept = set(folded.validation_images(fold)) if folded.is_trained_on else set()
    return [
        image
        for image, found in folded.classes_of.items()
        if image not in kept and not found.issubset(fold.held_out)
    ]


class _Writer:
    """Folder of images and masks without the classes of a fold."""

    def __init__(self, folder: Path, folded: Folded, fold: Fold) -> None:
        self._folder, self._benchmark = folder, folded.benchmark
        for name in ("images", "masks"):
            (folder / name).mkdir(parents=True)
        first = int(self._benchmark.has_background)
        seen = [number for number in folded.labels if number not in fold.held_out]
        self._numbers = np.zeros(256, np.uint8)
        self._numbers[seen] = np.arange(first, first + len(seen))
        self._numbers[IGNORED] = IGNORED
        names = [BACKGROUND] * first + [folded.labels[number] for number in seen]
        write_text(folder / "classes.txt", "\n".join(names) + "\n")
        self._colors = colors(256, background=bool(first))

    def add(self, index: int) -> None:
        """Write an image and its mask, upright."""
        sample = self._benchmark[index]
        source = _source(self._benchmark, index)
        stem = f"{index:06d}" if source is None else source.stem
        if (self._folder / f"masks/{stem}.png").exists():  # of another subfolder
            stem = f"{index:06d}-{stem}"
        if source is None or imaging.file_orientation(source) > 1:
            Image.fromarray(sample.image).save(self._folder / f"images/{stem}.png")
        else:
            _link(source, self._folder / f"images/{stem}{source.suffix}")
        mask: UInt8[np.ndarray, "height width"] = self._numbers[sample.mask]
        index_png(mask, self._colors).save(self._folder / f"masks/{stem}.png")


def _source(benchmark: Benchmark, index: int) -> Path | None:
    """File of an image; None if it is drawn."""
    return benchmark.pairs[index].image if isinstance(benchmark, Files) else None


def _link(source: Path, path: Path) -> None:
    """Second name of a file, or its copy where the file system allows no second name."""
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)
