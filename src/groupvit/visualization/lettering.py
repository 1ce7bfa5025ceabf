"""Text on images: its size, its font, and shortening it to a width."""

import math
import unicodedata
from collections.abc import Sequence
from functools import cache

from PIL import ImageFont

INK = (32, 33, 36)
"""Color of text, RGB."""
MUTED = (112, 115, 122)
"""Color of less important text."""
PAPER = (255, 255, 255)
"""Background of text, legends and panels."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def text_size(width: int, height: int) -> int:
    """Size of text that suits an image of this size [pixels]."""
    return min(max(round(math.sqrt(width * height) / 40), 12), 130)


@cache
def font(size: int) -> Font:
    """The built-in font of Pillow, so that drawings are the same on every machine."""
    return ImageFont.load_default(size)


def printable(text: str) -> str:
    """The text in one line, without the accents that the built-in font lacks."""
    plain = unicodedata.normalize("NFKD", text.encode("utf-8", "replace").decode("utf-8"))
    kept = (" " if c.isspace() else c for c in plain if not unicodedata.combining(c))
    return " ".join("".join(c for c in kept if c.isprintable()).split()) or "?"


def drawn_names(labels: Sequence[str]) -> list[str]:
    """Names of labels as they are drawn, which tell all of them apart.

    A label with characters that the built-in font lacks, such as Chinese ones, becomes `label N`
    with its index N, which is its value in the label map.
    """
    names = map(printable, labels)
    return [
        name if all(map(_has_glyph, name)) else f"label {index}" for index, name in enumerate(names)
    ]


@cache
def _has_glyph(character: str) -> bool:
    """True if the built-in font draws the character as something else than an unknown one."""
    face = font(24)
    shape, unknown = (face.getmask(one) for one in (character, _UNKNOWN))
    return (shape.size, bytes(shape)) != (unknown.size, bytes(unknown))


_UNKNOWN = "\uffff"
"""Character that no font has."""


def shorten(text: str, width: int, face: Font) -> str:
    """Cut off the end of text that is wider than `width` pixels, with an ellipsis."""
    if face.getlength(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if face.getlength(text[:middle].rstrip() + "…") <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"


def wrap(text: str, width: int, face: Font, *, most: int = 3) -> list[str]:
    """Break text into at most `most` lines of `width` pixels; the last one is shortened."""
    lines: list[str] = []
    words = text.split() or [""]
    while words and len(lines) < most - 1:
        line = words.pop(0)
        while words and face.getlength(f"{line} {words[0]}") <= width:
            line = f"{line} {words.pop(0)}"
        lines.append(shorten(line, width, face))
    return [*lines, shorten(" ".join(words), width, face)] if words else lines
