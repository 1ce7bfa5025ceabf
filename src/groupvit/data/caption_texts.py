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


def captions_of(text: str | None, metadata: str | None) -> tuple[str, ...]:
    """Captions of an image: the lines of its text, or the field `caption` of its JSON metadata.

    A text that equals the field but for whitespace is one caption, as img2dataset writes captions
    with line breaks.

    Args:
        text: Content of the text file; None: there is none.
        metadata: Content of the JSON file; None: there is none.
    """
    whole = one_line(_field(metadata)) if metadata is not None else ""
    if text is None or (whole and one_line(text) == whole):
        lines = [whole]
    else:
        lines = list(map(one_line, text.split("\n")))
    return tuple(filter(None, lines))


def _field(metadata: str) -> str:
    try:
        values = parse_json(metadata)
    except ValueError:
        return ""
    caption = values.get("caption") if isinstance(values, dict) else None
    return caption if isinstance(caption, str) else ""


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
