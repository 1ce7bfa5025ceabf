"""Images with captions, as readers give them, and what of their files was left out."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from groupvit.data.caption_texts import one_line
from groupvit.errors import InputError

NO_CAPTION, TOO_LARGE = "it has no caption", "its image file is too large"
NO_IMAGE, OUTSIDE = "row without an image", "row with an image outside of its folder"
NO_TEXT = "row whose caption is no text"
"""Reasons to leave out an image or a row."""


class StoredImage(NamedTuple):
    """Image file whose bytes lie in another file."""

    name: str
    """Name in messages, such as `pairs.parquet, row 3`."""
    path: Path
    """File that holds the bytes."""
    offset: int
    """Position of the first byte."""
    size: int
    """Number of bytes."""

    def __str__(self) -> str:
        return self.name

    def read(self) -> bytes:
        """The bytes.

        Raises:
            OSError: The file cannot be read.
        """
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


class Pair(NamedTuple):
    """An image file and its captions."""

    image: Path | StoredImage
    """The file; it may be missing."""
    captions: tuple[str, ...]
    """Captions without empty ones; possibly none."""


class LeftOut(NamedTuple):
    """Something that was left out."""

    where: str
    """Image file, or file and line."""
    kind: str
    """Reason in a few words, the same for all of a kind."""
    detail: str = ""
    """The reason in this case, if there is more to it."""


class Source(NamedTuple):
    """Pairs of a folder, a table or a JSON file."""

    pairs: list[Pair]
    """The pairs."""
    read: dict[str, int]
    """Number of things read, by their name: images, text files, rows, annotations."""
    left_out: list[LeftOut]
    """Rows and files without a pair."""


def grouped(captions: Iterable[tuple[Path | StoredImage, Iterable[str]]]) -> list[Pair]:
    """Captions by image, in the order of the first occurrence of each image.

    Raises:
        InputError: The name of an image contains NUL.
    """
    found: dict[Path | StoredImage, list[str]] = {}
    for image, several in captions:
        if "\0" in str(image):
            raise InputError(f"the name of the image {str(image)!r:.200} contains NUL")
        found.setdefault(image, []).extend(map(one_line, several))
    return [Pair(image, tuple(filter(None, lines))) for image, lines in found.items()]


def lies_in(folder: Path, image: Path) -> bool:
    """True for a path that does not lead out of a folder; False for one that is no path at all."""
    try:
        return image.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # too long, NUL, a loop of links
        return False
