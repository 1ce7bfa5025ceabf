"""Image files that paths, folders and patterns stand for."""

import glob
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL.PngImagePlugin import PngInfo

from groupvit import files
from groupvit.errors import InputError
from groupvit.imaging import missing, split_page

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp"),
    *(".tif", ".tiff", ".bmp", ".gif", ".avif", ".heic", ".heif"),
)
"""Suffixes of the images in a folder, in upper or lower case."""
OTHER_SUFFIXES = (
    *(".mpo", ".jp2", ".j2k", ".jxl"),
    *(".ppm", ".pgm", ".pnm", ".tga", ".psd", ".svg", ".dng", ".cr2", ".cr3", ".nef", ".arw"),
)
"""Suffixes of images that are not read, which are reported instead of left out silently."""
OTHER_KINDS, LINKED_FOLDERS, OWN_OUTPUTS = (
    "files in formats that are not read",
    "linked folders",
    "files written by groupvit",
)
"""Reasons to skip a file or folder."""
_NAMED = 8
"""Maximum number of skipped files that are named."""
_MARK = ("Software", "groupvit")
_HEAD = 4096
"""Length of the beginning of a PNG file that holds the mark [bytes]."""


class ImageFile(NamedTuple):
    """Path of an image, and the name of its outputs."""

    path: Path
    """Path of the image, as reached from what was given."""
    name: Path
    """Path below the folder or pattern that was given, or only the file name; with suffix."""


class Found(NamedTuple):
    """Result of a search."""

    images: list[ImageFile]
    """Images, each once."""
    skipped: dict[str, list[Path]]
    """Files and folders in the folders and patterns that were skipped, by the reason."""

    def describe_skipped(self) -> str:
        """Number and names of what was skipped, such as `skipped 1 linked folders: a`, or empty."""
        parts = []
        for reason, paths in self.skipped.items():
            names = ", ".join(path.name for path in paths[:_NAMED])
            more = f" and {len(paths) - _NAMED:,} more" if len(paths) > _NAMED else ""
            parts.append(f"{len(paths):,} {reason}: {names}{more}")
        return f"skipped {'; '.join(parts)}" if parts else ""


def output_mark() -> PngInfo:
    """Text to be saved in PNG files of results, so that no later search takes them for images."""
    mark = PngInfo()
    mark.add_text(*_MARK)
    return mark


def find(paths: Sequence[str | Path]) -> list[ImageFile]:
    """List the images that files, folders and patterns stand for, each once; see `search`."""
    return search(paths).images


def search(paths: Sequence[str | Path], *, outputs: Path | None = None) -> Found:
    """Find the images that files, folders and patterns stand for, each once.

    The order is that of `paths`, alphabetical inside a folder or pattern. A file that is named
    itself may have any suffix, and a page of it is named as `scan.tif#2`. Folders are searched with
    all folders below them but linked ones, and patterns such as "photos/**/*.jpg" are expanded;
    both give only files with one of `SUFFIXES`, and none that are hidden.

    Args:
        paths: Files, folders and patterns.
        outputs: Folder of results; files in it are skipped where it lies below a folder or
            pattern, and so are PNG files with `output_mark` anywhere. None: nothing is.

    Raises:
        InputError: Nothing was given, a path does not exist, a folder or pattern holds no images,
            or two images would have outputs of the same name.
    """
    if isinstance(paths, str | Path):
        paths = [paths]
    if not paths:
        raise InputError("no images given; name at least one file or folder")
    skipped = defaultdict[str, list[Path]](list)
    found: dict[Path, ImageFile] = {}
    for given in paths:
        for image in _expand(given, outputs, skipped):
            found.setdefault(image.path.resolve(), image)
    named: dict[Path, Path] = {}
    for image in found.values():
        other = named.setdefault(image.name, image.path)
        if other != image.path:
            raise InputError(
                f"{other} and {image.path} would both give {image.name}; "
                "give the folder that holds both"
            )
    return Found(list(found.values()), {reason: sorted(some) for reason, some in skipped.items()})


def _check_readable(path: Path) -> None:
    try:
        files.check_readable(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


Skipped = dict[str, list[Path]]


def _expand(given: str | Path, outputs: Path | None, skipped: Skipped) -> list[ImageFile]:
    path = Path(given)
    if path.is_dir():
        root, paths = path, list(_walk(path, skipped))
        complaint = f"no images in {given}; choose another folder"
    elif path.exists():
        _check_readable(path)
        return [ImageFile(path, Path(path.name))]
    elif (page := split_page(given))[0] != path:
        file, number = page
        _check_readable(file)
        return [ImageFile(path, Path(f"{file.stem}-page{number}{file.suffix}"))]
    elif any(character in str(given) for character in "*?["):
        root, paths = _match(str(given))
        complaint = f"no images match {given}; check the pattern"
    else:
        raise missing(given)
    found = [
        ImageFile(image, image.relative_to(root))
        for image in paths
        if _is_input(image, root, outputs, skipped)
    ]
    if not found:
        details = Found([], skipped).describe_skipped()
        raise InputError(f"{complaint} ({details})" if details else complaint)
    return sorted(found, key=lambda image: image.name.parts)


def _walk(folder: Path, skipped: Skipped) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        # Changing the list in place keeps `os.walk` out of hidden folders.
        folders[:] = [name for name in folders if not name.startswith(".")]
        linked = [Path(parent, name) for name in folders if Path(parent, name).is_symlink()]
        if linked:
            skipped[LINKED_FOLDERS] += linked
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def _match(pattern: str) -> tuple[Path, list[Path]]:
    """Folder before the first sign of a pattern, and the files that match."""
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if any(sign in part for sign in "*?["))
    # `Path.glob` would give hidden files, and reads "**" in another way before Python 3.13.
    paths = [Path(path) for path in glob.glob(pattern, recursive=True)]  # noqa: PTH207
    return Path(*parts[:fixed]), [path for path in paths if path.is_file()]


def _is_input(path: Path, root: Path, outputs: Path | None, skipped: Skipped) -> bool:
    """True for an image to be read; other images are noted."""
    name = path.name.lower()
    if name.endswith(OTHER_SUFFIXES):
        skipped[OTHER_KINDS].append(path)
    if not name.endswith(SUFFIXES):
        return False
    if not path.is_file() and path.exists():  # reading a named pipe would wait for its writer
        skipped[OTHER_KINDS].append(path)
        return False
    if outputs is None or not (_lies_below(path, outputs, root) or _has_mark(path)):
        return True
    skipped[OWN_OUTPUTS].append(path)
    return False


def _lies_below(path: Path, outputs: Path, root: Path) -> bool:
    """True for a file in a folder of results that lies below the root of the search."""
    folder = outputs.resolve()
    return root.resolve() in folder.parents and folder in path.resolve().parents


def _has_mark(path: Path) -> bool:
    if not path.name.lower().endswith(".png"):
        return False
    try:
        with path.open("rb") as file:
            return b"tEXt" + b"\0".join(part.encode() for part in _MARK) in file.read(_HEAD)
    except OSError:  # reported when it is read as an image
        return False
