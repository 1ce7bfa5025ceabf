"""Fonts for text in any script: the built-in one, or one of this machine that has the characters.

Text that the built-in font has looks the same on every machine.
"""

import os
import warnings
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_FOLDERS = (
    *("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts"),
    *("/System/Library/Fonts", "/Library/Fonts", "~/Library/Fonts"),
    r"C:\Windows\Fonts",
)
_PREFERRED = (
    *("dejavusans", "notosans-regular", "notosanscjk-regular", "notosans", "arial unicode"),
    *("pingfang", "hiragino", "msyh", "yugoth", "malgun", "nirmala", "segoeui", "arial"),
)
"""Beginnings of the names of fonts that are tried first, in this order."""
_SUFFIXES = (".ttf", ".otf", ".ttc")
_MOST = 500
"""Number of fonts that are tried."""
_ABSENT = "\U0010ffff"
"""Character that no font has."""


class MissingGlyphWarning(UserWarning):
    """No font of this machine has the characters of a text, which are drawn as boxes."""


@cache
def font(size: int, text: str = "") -> Font:
    """The built-in font of Pillow, or another where it lacks characters of the text.

    Args:
        size: Size [pixels].
        text: Text to be drawn; where no font has all its characters, the built-in one is taken.
    """
    file = _file_for(text)
    return ImageFont.load_default(size) if not file else ImageFont.truetype(file, size)


def can_draw(text: str) -> bool:
    """True if a font of this machine has all characters of the text."""
    return _file_for(text) is not None


def warn_of_missing(text: str, drawn: str) -> None:
    """Warn that a text is drawn as another, or, if that is empty, with boxes."""
    warnings.warn(
        f"no font of this machine has all characters of {text!r}, drawn as "
        f"{repr(drawn) if drawn else 'boxes'}; install the Noto fonts",
        MissingGlyphWarning,
        stacklevel=3,
    )


@cache
def _file_for(text: str) -> str | None:
    """File of a font that has the text; empty: the built-in one; None: no font has it."""
    characters = frozenset(text) - {" ", "…"}
    if _has(ImageFont.load_default(16), characters):
        return ""
    for file in _files():
        try:
            face = ImageFont.truetype(file, 16)
        except OSError:  # no font, or one of bitmaps in another size
            continue
        if _has(face, characters):
            return file
    return None


def _has(face: Font, characters: frozenset[str]) -> bool:
    absent = _drawn(face, _ABSENT)
    return all(_drawn(face, character) != absent for character in characters)


def _drawn(face: Font, character: str) -> tuple[tuple[int, int], bytes]:
    mask = face.getmask(character)
    return mask.size, bytes(mask)


@cache
def _files() -> tuple[str, ...]:
    """Files of fonts, the preferred ones first."""
    found = {path.name.lower(): path for folder in _folders() for path in _fonts_in(folder)}

    def order(name: str) -> tuple[int, str]:
        ranks = (rank for rank, start in enumerate(_PREFERRED) if name.startswith(start))
        return next(ranks, len(_PREFERRED)), name

    return tuple(str(found[name]) for name in sorted(found, key=order)[:_MOST])


def _folders() -> Iterator[Path]:
    matplotlib = find_spec("matplotlib")
    if matplotlib is not None and matplotlib.origin is not None:  # it brings DejaVu
        yield Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf"
    yield from (Path(folder).expanduser() for folder in _FOLDERS)


def _fonts_in(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names if name.lower().endswith(_SUFFIXES))
