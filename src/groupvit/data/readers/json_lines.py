"""JSON lines: one object for each row, with an image and its captions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from groupvit.data.caption_texts import captions_of_cell
from groupvit.data.pairs import NO_IMAGE, NO_TEXT, OUTSIDE, LeftOut, Source, grouped, lies_in
from groupvit.data.tables import text_of
from groupvit.errors import InputError
from groupvit.values import LARGEST_ANNOTATIONS, parse_json

_NO_OBJECT = "line that is no JSON object"
_NAMED = 12
"""Most keys that a message names."""


def from_json_lines(path: Path, folder: Path, *, image_key: str, caption_key: str) -> Source:
    """Images of a file of JSON lines; lines that cannot be used are left out.

    Args:
        path: The file.
        folder: Folder of the images, which no line may lead out of.
        image_key: Key of the image file.
        caption_key: Key of the captions, one text or a list.

    Raises:
        InputError: The file cannot be read, or no line has the key of the captions.
    """
    left_out, captions, number, other = [], [], 0, None
    for line, values, error in _objects(path):
        number += 1
        where = f"{path}, line {line}"
        if values is None:
            left_out.append(LeftOut(where, _NO_OBJECT, error))
            continue
        if other is None and caption_key not in values:
            other = list(values)
        image, texts = values.get(image_key), captions_of_cell(values.get(caption_key))
        if reason := _fault(folder, image, texts):
            left_out.append(LeftOut(where, reason))
        else:
            captions.append((caption_key in values, folder / str(image).strip(), texts or []))
    if other is not None and not any(has_key for has_key, _, _ in captions):
        keys = ", ".join(f"{key!r:.100}" for key in other[:_NAMED])
        raise InputError(
            f"{path} has no key {caption_key!r}; its first line has {keys or 'none'}. Name that of "
            "the captions with --caption-key"
        )
    pairs = grouped((image, texts) for _, image, texts in captions)
    return Source(pairs, {f"lines of {path.name}": number}, left_out)


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any] | None, str]]:
    """Number and object of each line that is not blank; None, and the error, for another line."""
    for line, text in enumerate(text_of(path, largest=LARGEST_ANNOTATIONS).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            values = parse_json(text)
        except ValueError as error:
            yield line, None, str(error)
        else:
            yield line, values if isinstance(values, dict) else None, ""


def _fault(folder: Path, image: Any, texts: list[str] | None) -> str:
    """Reason to leave out a line, or an empty text."""
    if not isinstance(image, str) or not image.strip():
        return NO_IMAGE
    if not lies_in(folder, folder / image.strip()):
        return OUTSIDE
    return NO_TEXT if texts is None else ""
