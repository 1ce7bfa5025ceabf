"""Your own benchmark: images, masks of the same names, and a list of classes."""

from collections.abc import Sequence
from pathlib import Path

from groupvit import image_files
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.files import Files, Pair, identity
from groupvit.evaluation.scores import IGNORED
from groupvit.text.prompts import BACKGROUND, parse_labels

IMAGES, MASKS, CLASSES = "images", "masks", "classes.txt"
"""What the folder holds."""


def read_folder(path: str | Path) -> Files:
    """List the files of a folder that holds images/, masks/ and classes.txt; see `read_parts`."""
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"no folder {path}; give one with {IMAGES}/, {MASKS}/ and {CLASSES}")
    for name in (IMAGES, MASKS):
        if not (path / name).is_dir():
            raise InputError(
                f"no folder {name}/ under {path}; a benchmark has {IMAGES}/, {MASKS}/ and {CLASSES}"
            )
    return read_parts(path / IMAGES, path / MASKS, path / CLASSES, name=str(path))


def read_parts(images: Path, masks: Path, classes: Path, *, name: str) -> Files:
    """List images and masks that lie anywhere; they are read when asked for.

    A mask is a PNG, with a palette or gray, whose values are line numbers of the list of classes
    from 0; 255 does not count. If its first line is `background`, 0 means what no label claims.

    Args:
        images: Folder of the images.
        masks: Folder of the masks, each called like its image, but .png.
        classes: A text file with the name of a class in each line, synonyms with |.
        name: What reports call the benchmark.

    Raises:
        InputError: A part of it is missing or empty, an image has no mask or a mask no image, or
            a class has no usable name.
    """
    for folder in (images, masks):
        if not folder.is_dir():
            raise InputError(f"no folder {folder}; name one with the images, one with the masks")
    lines = _lines(classes)
    has_background = lines[0].casefold() == BACKGROUND
    labels = tuple(lines[1:] if has_background else lines)
    _check_labels(labels, classes)
    return Files(
        name=name,
        labels=labels,
        has_background=has_background,
        pairs=_pairs(images, masks),
        values=identity(len(lines)),
        listed=str(classes),
    )


def _lines(file: Path) -> list[str]:
    """The names, one for each line; blank lines at the end are none."""
    try:
        lines = [line.strip() for line in file.read_text("utf-8-sig").rstrip().splitlines()]
    except FileNotFoundError:
        raise InputError(
            f"no file {file}; write one with the name of a class in each line, in the order of the "
            "values in the masks"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as UTF-8 text: {error}") from None
    if not lines:
        raise InputError(f"{file} is empty; write the name of a class in each line")
    if len(lines) > IGNORED:
        raise InputError(f"{file} has {len(lines)} classes; masks of 8 bits hold at most {IGNORED}")
    if "" in lines:
        raise InputError(
            f"{file}, line {lines.index('') + 1} is blank; the numbers of lines are the values in "
            "the masks, so give it a name"
        )
    return lines


def _check_labels(labels: Sequence[str], file: Path) -> None:
    try:
        parse_labels(labels)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def _pairs(folder: Path, masks: Path) -> tuple[Pair, ...]:
    """Every image with its mask; none may stand alone."""
    found = image_files.find([folder])
    pairs = tuple(Pair(one.path, masks / one.name.with_suffix(".png")) for one in found)
    for pair in pairs:
        if not pair.mask.is_file():
            raise InputError(
                f"the image {pair.image} has no mask {pair.mask}; add it, or take the image out"
            )
    there = {mask for mask in masks.rglob("*.png") if not mask.name.startswith(".")}
    alone = there - {pair.mask for pair in pairs}
    if alone:
        raise InputError(
            f"the mask {min(alone)} has no image under {folder}; add it, or take the mask out"
        )
    return pairs
