"""Captions of a text file, a JSON file, or a cell of a table, each on one line."""

import ast
from typing import Any

from groupvit.values import parse_json

_LONGEST_LIST = 100_000
"""Longest cell that is read as a list [characters]."""


def one_line(caption: str) -> str:
    """A caption without surplus whitespace, which the tokenizer ignores."""
    # A character 0 is never meant; lone surrogates of JSON fit into no file.
    whole = caption.replace("\0", " ").encode("utf-8", "replace").decode()
    return " ".join(whole.split())


def captions_of(text: str | None, metadata: str | None, *, key: str = "caption") -> tuple[str, ...]:
    """Captions of an image: the lines of its text, or a field of its JSON metadata.

    The field holds one caption or a list of them. A text that equals it but for whitespace is the
    same captions, as img2dataset writes captions with line breaks.

    Args:
        text: Content of the text file; None: there is none.
        metadata: Content of the JSON file; None: there is none.
        key: Key of the field.
    """
    given = [] if metadata is None else list(filter(None, map(one_line, _field(metadata, key))))
    if text is None or (given and one_line(text) == " ".join(given)):
        return tuple(given)
    return tuple(filter(None, map(one_line, text.split("\n"))))


def _field(metadata: str, key: str) -> list[str]:
    """Captions of a field; none where the metadata are damaged or lack it."""
    try:
        values = parse_json(metadata)
    except ValueError:
        return []
    value = values.get(key) if isinstance(values, dict) else None
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def captions_of_cell(value: Any) -> list[str] | None:
    """Captions in a cell of a table: one text, several in a list; None for other types.

    A list may also be written out, as JSON or as Python does: `["a dog", "grass"]`.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return _written_list(value)
    if isinstance(value, list) and all(isinstance(one, str) or one is None for one in value):
        return [one for one in value if one]
    return None


def _written_list(text: str) -> list[str]:
    if not (text.startswith("[") and text.endswith("]")) or len(text) > _LONGEST_LIST:
        return [text]
    try:
        values = parse_json(text)
    except ValueError:
        try:
            values = ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return [text]
        if repr(values) != text:  # Python joins neighbors without a comma
            return [text]
    is_list = isinstance(values, list) and all(isinstance(one, str) for one in values)
    return values if is_list else [text]
