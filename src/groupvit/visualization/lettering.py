"""Text on images: its size, its font, and how it is cut to the room there is."""

import math
import unicodedata
from functools import cache

from PIL import ImageFont

INK = (32, 33, 36)
"""Of text on paper, RGB."""
MUTED = (112, 115, 122)
"""Of text that matters less."""
PAPER = (255, 255, 255)
"""What text, legends and panels stand on."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def text_size(width: int, height: int) -> int:
    """Give the size of text, in pixels, that suits an image of this size."""
    return min(max(round(math.sqrt(width * height) / 40), 12), 130)


@cache
def font(size: int) -> Font:
    """Give the built-in font of Pillow, so that images look the same on every machine."""
    return ImageFont.load_default(size)


def printable(text: str) -> str:
    """Give the text in one line, without the accents that the built-in font lacks."""
    plain = unicodedata.normalize("NFKD", text.encode("utf-8", "replace").decode("utf-8"))
    kept = (" " if c.isspace() else c for c in plain if not unicodedata.combining(c))
    return " ".join("".join(c for c in kept if c.isprintable()).split()) or "?"


def shorten(text: str, width: int, face: Font) -> str:
    """Cut the end off, with an ellipsis, where the text is wider than so many pixels."""
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
    """Break the text into lines of at most so many pixels; the last of `most` lines is cut."""
    lines: list[str] = []
    words = text.split() or [""]
    while words and len(lines) < most - 1:
        line = words.pop(0)
        while words and face.getlength(f"{line} {words[0]}") <= width:
            line = f"{line} {words.pop(0)}"
        lines.append(shorten(line, width, face))
    return [*lines, shorten(" ".join(words), width, face)] if words else lines
