"""Digests of the files of models, and the digests that they should have."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from groupvit.errors import InputError
from groupvit.files import read_text
from groupvit.weights import hub
from groupvit.weights.checkpoint import CONFIG_FILE
from groupvit.weights.foreign import WEIGHT_FILES
from groupvit.weights.packaged import PACKAGED

SUMS_FILE = "SHA256SUMS"
"""File beside a model with the digests of its files, as `sha256sum` writes it."""
HERE = Path(__file__).parent


class File(NamedTuple):
    """File of a model, with its digest."""

    path: Path
    name: str
    """Path in the folder of the model."""
    digest: str
    """SHA-256 of the content, in hexadecimal."""
    expected: str | None
    """Digest that it should have; None: unknown."""
    authority: str
    """Source of the expected digest; empty if that is unknown."""


def of_model(name: str | Path, *, revision: str | None = None) -> list[File]:
    """The files of a model, with their digests and those they should have.

    Expected digests are those of `SHA256SUMS` beside the files (for bundled models that of the
    package), and of files in the hub's cache those by which the hub itself names them.

    Args:
        name: Name of a model; see `groupvit.weights.catalogue.load`.
        revision: Branch, tag or commit; for hub ids only.

    Returns:
        `config.json` and the weights; nothing for `random`, which has no file.

    Raises:
        InputError: There is no such model, or a file cannot be read.
    """
    if str(name) == "random":
        return []
    root = _root(name, revision)
    if root.is_file():
        paths, root = [root], root.parent
    else:
        paths = [root / one for one in (CONFIG_FILE, *WEIGHT_FILES) if (root / one).is_file()]
    if not paths:
        raise InputError(f"{name} holds no weights; give the folder of a model")
    return [_file(path, root) for path in paths]


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        InputError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _root(name: str | Path, revision: str | None) -> Path:
    """Folder or file of a model."""
    if str(name) in PACKAGED:
        return HERE / str(name)
    path = Path(name).expanduser()
    if path.exists():
        latest = path / "latest"
        return path / Path(latest.read_text("utf-8").strip()).name if latest.is_file() else path
    if not hub.is_hub_id(str(name)):
        raise InputError(f"there is no model {str(name)!r}; give a name, a folder or a hub id")
    return hub.fetch(str(name), revision)


def _file(path: Path, root: Path) -> File:
    digest, name = sha256(path), path.relative_to(root).as_posix()
    listed = dict(_listed(root / SUMS_FILE)).get(name)
    if listed is not None:
        return File(path, name, digest, listed, SUMS_FILE)
    # The hub's cache links files to blobs; large ones are named by their SHA-256.
    blob = path.resolve().name
    if path.is_symlink() and re.fullmatch(r"[0-9a-f]{64}", blob):
        return File(path, name, digest, blob, "the hub")
    return File(path, name, digest, None, "")


def _listed(sums: Path) -> Iterator[tuple[str, str]]:
    """Names and digests in a file of `sha256sum`; none if there is no such file."""
    try:
        lines = read_text(sums, largest=1 << 20).splitlines()
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{sums} cannot be read: {error}") from error
    for line in lines:
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line)
        if match:
            yield match[2], match[1].lower()
