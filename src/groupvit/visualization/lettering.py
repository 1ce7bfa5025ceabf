"""Text on images: its size, its characters, and shortening it to a width."""

import math
import unicodedata

from groupvit.visualization.fonts import Font, can_draw, warn_of_missing

INK = (32, 33, 36)
"""Color of text, RGB."""
MUTED = (112, 115, 122)
"""Color of less important text."""
PAPER = (255, 255, 255)
"""Background of text, legends and panels."""


def text_size(width: int, height: int) -> int:
    """Size of text that suits an image of this size [pixels]."""
    return min(max(round(math.sqrt(width * height) / 40), 12), 130)


def printable(text: str, *, otherwise: str = "") -> str:
    """The text in one line; without its accents where no font of this machine has them.

    Characters that no font has give a `MissingGlyphWarning`.

    Args:
        text: Any text.
        otherwise: Text that stands for one with characters that no font has; empty: these
            characters become boxes.
    """
    whole = _in_one_line(unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode()))
    if can_draw(whole):
        return whole
    letters = unicodedata.normalize("NFKD", whole)
    plain = "".join(one for one in letters if not unicodedata.combining(one))
    if can_draw(plain):
        return plain
    warn_of_missing(whole, otherwise)
    return otherwise or plain


def _in_one_line(text: str) -> str:
    kept = (" " if c.isspace() else c for c in text)
    return " ".join("".join(c for c in kept if c.isprintable()).split()) or "?"


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
