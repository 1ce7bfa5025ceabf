"""Image files that paths, folders and patterns stand for."""

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from groupvit.errors import InputError
from groupvit.imaging import missing

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
"""Suffixes of the images in a folder, in upper or lower case."""


class ImageFile(NamedTuple):
    """Path of an image, and the name of its outputs."""

    path: Path
    """Path of the image, as reached from what was given."""
    name: Path
    """Path below the folder or pattern that was given, or only the file name; with suffix."""


def find(paths: Sequence[str | Path]) -> list[ImageFile]:
    """List the images that files, folders and patterns stand for, each once.

    The order is that of `paths`, alphabetical inside a folder or pattern. A file that is named
    itself may have any suffix. Folders are searched with all folders below them, and patterns such
    as "photos/**/*.jpg" are expanded; both give only files with one of `SUFFIXES`, and none that
    are hidden.

    Raises:
        InputError: Nothing was given, a path does not exist, a folder or pattern holds no images,
            or two images would have outputs of the same name.
    """
    if isinstance(paths, str | Path):
        paths = [paths]
    if not paths:
        raise InputError("no images given; name at least one file or folder")
    found: dict[Path, ImageFile] = {}
    for given in paths:
        for image in _expand(given):
            found.setdefault(image.path.resolve(), image)
    named: dict[Path, Path] = {}
    for image in found.values():
        other = named.setdefault(image.name, image.path)
        if other != image.path:
            raise InputError(
                f"{other} and {image.path} would both give {image.name}; "
                "give the folder that holds both"
            )
    return list(found.values())


def _expand(given: str | Path) -> list[ImageFile]:
    path = Path(given)
    if path.is_dir():
        found = [ImageFile(image, image.relative_to(path)) for image in _walk(path)]
        if not found:
            raise InputError(f"no JPEG, PNG or WebP images in {given}; choose another folder")
    elif path.exists():
        return [ImageFile(path, Path(path.name))]
    elif any(character in str(given) for character in "*?["):
        found = _match(str(given))
        if not found:
            raise InputError(f"no images match {given}; check the pattern")
    else:
        raise missing(given)
    return sorted(found, key=lambda image: image.name.parts)


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        # Changing the list in place keeps `os.walk` out of hidden folders.
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and name.lower().endswith(SUFFIXES):
                yield Path(parent, name)


def _match(pattern: str) -> list[ImageFile]:
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if any(sign in part for sign in "*?["))
    root = Path(*parts[:fixed])
    # `Path.glob` would give hidden files, and reads "**" in another way before Python 3.13.
    paths = [Path(path) for path in glob.glob(pattern, recursive=True)]  # noqa: PTH207
    return [
        ImageFile(path, path.relative_to(root))
        for path in paths
        if path.name.lower().endswith(SUFFIXES) and path.is_file()
    ]
