"""JSON and TOML within bounds on size, depth and numbers, so that no file can exhaust the process.

Settings, `config.json`, journals, logs and annotations are all read here. Whatever is wrong with a
text is a ValueError of one sentence.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from groupvit import files

LARGEST = 16 * 2**20
"""Largest JSON file of settings or results [bytes]."""
LARGEST_ANNOTATIONS = 2**31
"""Largest JSON file of captions or masks of a dataset [bytes]."""
LARGEST_TOML = 2**20
"""Largest TOML file [bytes]."""
MAX_DEPTH = 64
"""Lists and tables inside each other, and parts of a dotted TOML key."""
MAX_INTEGER = 2**63 - 1
"""Largest absolute value of an integer."""

_BETWEEN_KEYS = re.compile(r"[=,{}\n]")


def read_json(path: Path, *, largest: int = LARGEST) -> Any:
    """Values of a JSON file.

    Raises:
        OSError: The file cannot be read, or is larger than `largest` [bytes].
        ValueError: It is no JSON, or not within the bounds.
    """
    return parse_json(files.read_text(path, largest=largest))


def read_toml(path: Path) -> dict[str, Any]:
    """Values of a TOML file.

    Raises:
        OSError: The file cannot be read, or is too large.
        ValueError: It is no TOML, or not within the bounds.
    """
    text = files.read_text(path, largest=LARGEST_TOML)
    # The time that `tomllib` takes grows with the square of the parts of a key.
    if any(piece.count(".") > MAX_DEPTH for piece in _BETWEEN_KEYS.split(text)):
        raise ValueError(f"a key has more than {MAX_DEPTH} parts")
    try:
        values = tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"more than {MAX_DEPTH} lists or tables lie inside each other") from None
    _check(values)
    return values


def parse_json(text: str) -> Any:
    """Values of a JSON text.

    Raises:
        ValueError: It is no JSON, or not within the bounds.
    """
    try:
        values = json.loads(text)
    except RecursionError:
        raise ValueError(f"more than {MAX_DEPTH} lists or tables lie inside each other") from None
    _check(values)
    return values


def _check(values: Any) -> None:
    level = [values]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _inner(outer)]
        if not level:
            return
    raise ValueError(f"more than {MAX_DEPTH} lists or tables lie inside each other")


def _inner(value: Any) -> Iterator[Any]:
    """Lists and tables directly inside a value; integers are checked."""
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ValueError(f"an integer is above {MAX_INTEGER}")
    for inner in value.values() if isinstance(value, dict) else ():
        if isinstance(inner, (dict, list, int)):
            yield inner
    for inner in value if isinstance(value, list) else ():
        if isinstance(inner, (dict, list, int)):
            yield inner
