"""Benchmark of your own: images, masks of the same names, and a list of classes."""

from collections.abc import Sequence
from pathlib import Path

from groupvit import image_files
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.files import Files, Orientation, Pair, identity, read_mask
from groupvit.evaluation.benchmarks.mask_values import MaskTable, mask_table
from groupvit.evaluation.scores import IGNORED
from groupvit.files import check_whole
from groupvit.storybook.writing import NAME as STORYBOOK
from groupvit.text.label_file import one_per_line, read_lines
from groupvit.text.prompts import BACKGROUND, parse_labels

IMAGES, MASKS, CLASSES = "images", "masks", "classes.txt"
"""Names in the folder."""


def read_folder(
    path: str | Path,
    *,
    mask_values: Sequence[str] = (),
    mask_orientation: Orientation | None = None,
) -> Files:
    """List the files of a folder that holds images/, masks/ and classes.txt; see `read_parts`."""
    path = Path(path)
    check_whole(path.parent, STORYBOOK)  # of which the folder may be a part
    if not path.is_dir():
        raise InputError(f"no folder {path}; give one with {IMAGES}/, {MASKS}/ and {CLASSES}")
    for name in (IMAGES, MASKS):
        if not (path / name).is_dir():
            raise InputError(
                f"no folder {name}/ under {path}; a benchmark has {IMAGES}/, {MASKS}/ and {CLASSES}"
            )
    return read_parts(
        path / IMAGES,
        path / MASKS,
        path / CLASSES,
        name=str(path),
        mask_values=mask_values,
        mask_orientation=mask_orientation,
    )


def read_parts(
    images: Path,
    masks: Path,
    classes: Path,
    *,
    name: str,
    mask_values: Sequence[str] = (),
    mask_orientation: Orientation | None = None,
) -> Files:
    """List images and masks in any folders.

    A mask is a PNG, gray or with a palette, whose values are line numbers of the list of classes,
    from 0; pixels of 255 do not count. If the first line is `background`, 0 is the background.

    Args:
        images: Folder of the images.
        masks: Folder of the masks, each with the name of its image and the suffix .png.
        classes: Text file with one class name per line, synonyms separated by |.
        name: Name in reports.
        mask_values: Classes of the values or colors of masks, if they are not line numbers; see
            `mask_values.mask_table`.
        mask_orientation: Orientation of the masks of images with an EXIF orientation, where their
            size does not show it; None: such images are refused.

    Raises:
        InputError: A folder or file is missing or empty, an image has no mask, a mask has no
            image, or a class name cannot be used.
    """
    for folder in (images, masks):
        if not folder.is_dir():
            raise InputError(f"no folder {folder}; name one with the images, one with the masks")
    lines = _lines(classes)
    has_background = lines[0].casefold() == BACKGROUND
    labels = tuple(lines[1:] if has_background else lines)
    try:
        parse_labels(labels)
    except InputError as error:
        raise InputError(f"{classes}: {error}") from None
    table = MaskTable(identity(len(lines)), read_mask)
    if mask_values:
        table = mask_table(mask_values, lines)
    return Files(
        name=name,
        labels=labels,
        has_background=has_background,
        pairs=_pairs(images, masks),
        values=table.values,
        listed=str(classes),
        read=table.read,
        is_mapped=bool(mask_values),
        orientation=mask_orientation,
        value_names=table.names,
    )


def _lines(file: Path) -> list[str]:
    """Names of the classes, one per line, maybe with their numbers: `0: sky`."""
    if not file.exists():
        raise InputError(
            f"no file {file}; write one with the name of a class in each line, in the order of the "
            "values in the masks"
        )
    lines = read_lines(file)
    if lines == [""]:
        raise InputError(f"{file} is empty; write the name of a class in each line")
    if len(lines) > IGNORED:
        raise InputError(f"{file} has {len(lines)} classes; masks of 8 bits hold at most {IGNORED}")
    if "" in lines:
        raise InputError(
            f"{file}, line {lines.index('') + 1} is blank; the numbers of lines are the values in "
            "the masks, so give it a name"
        )
    return one_per_line(lines, file)


def _pairs(folder: Path, masks: Path) -> tuple[Pair, ...]:
    """Images with their masks, all of which must have a partner."""
    pairs: list[Pair] = []
    alone = set(masks.rglob("[!.]*.png"))
    for image in image_files.find([folder]):
        mask = masks / image.name.with_suffix(".png")
        if not mask.is_file():
            raise InputError(
                f"the image {image.path} has no mask {mask}; add it, or take the image out"
            )
        alone.discard(mask)
        pairs.append(Pair(image.path, mask))
    if alone:
        raise InputError(
            f"the mask {min(alone)} has no image under {folder}; add it, or take the mask out"
        )
    return tuple(pairs)
