"""Labels of each image, from a table: `groupvit segment --labels-from labels.csv`."""

from collections.abc import Sequence
from pathlib import Path

from groupvit.data.tables import rows
from groupvit.errors import InputError
from groupvit.image_files import ImageFile
from groupvit.text.prompts import split_labels

_HEADERS = ("image", "file", "filename", "path")


def read_labels(file: Path, images: Sequence[ImageFile]) -> dict[ImageFile, tuple[str, ...]]:
    """Labels of every image: one row for each, the path or name of the image first.

    Rows are `dog.jpg,dog,grass` or `dog.jpg,"dog, grass"`; a first row that begins with `image` is
    left out, and so are rows of other images.

    Raises:
        InputError: The table cannot be read, or an image has no row, several, or one without
            labels.
    """
    table: dict[str, tuple[str, ...]] = {}
    for row in rows(file):
        name, *cells = (cell.strip() for cell in row.cells)
        if not name or (row.line == 1 and name.lower() in _HEADERS):
            continue
        labels = split_labels(filter(None, cells))
        if not labels or name in table:
            fault = "is there twice" if name in table else "has no labels"
            raise InputError(f"{file}, line {row.line}: {name} {fault}; give it one row of labels")
        table[name] = labels
    found = {image: _row_of(image, table) for image in images}
    missing = [image.name.as_posix() for image, labels in found.items() if not labels]
    if missing:
        raise InputError(
            f"{file} has no row for {len(missing):,} of {len(images):,} images, such as "
            f"{missing[0]}; add it, with the path as given or below the folder"
        )
    return found


def _row_of(image: ImageFile, table: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    names = (str(image.path), image.path.as_posix(), image.name.as_posix(), image.path.name)
    return next((table[name] for name in names if name in table), ())
