"""JSON files that commands write at their end."""

import json
from pathlib import Path
from typing import Any

from groupvit import files
from groupvit.errors import InputError


def check(path: Path | None, *, overwrite: bool) -> None:
    """Find out before the work that a file cannot be written after it.

    Raises:
        InputError: It is a folder, would be overwritten, or its folder does not exist.
    """
    if path is None:
        return
    if path.is_dir():
        raise InputError(f"--out {path} is a folder; name a file in it, such as {path}/scores.json")
    if path.exists() and not overwrite:
        raise InputError(f"{path} would be overwritten; choose another --out or pass --overwrite")
    if not path.absolute().parent.is_dir():
        raise InputError(f"--out {path} lies in a folder that does not exist; make it first")
    files.remove_leftovers(path.absolute().parent, path.name)


def write(path: Path, values: dict[str, Any]) -> None:
    """Write values as JSON.

    Raises:
        InputError: The file cannot be written.
    """
    files.write_text(path, json.dumps(values, ensure_ascii=False, indent=2) + "\n")
