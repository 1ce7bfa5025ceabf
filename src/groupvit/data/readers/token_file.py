"""Token files of Flickr8k and Flickr30k: `image.jpg#0`, a tab, and a caption on each line."""

import re
from pathlib import Path

from groupvit.data.pairs import OUTSIDE, LeftOut, Source, grouped, lies_in
from groupvit.data.tables import text_of
from groupvit.values import LARGEST_ANNOTATIONS

SUFFIXES = (".token", ".token.txt")
"""Ends of the names of token files."""

_LINE = re.compile(r"([^\t]*[^\t\s])#\d{1,9}\s*\t(.*)")
_MALFORMED = "line without image, number and caption"


def from_token_file(path: Path, folder: Path) -> Source:
    """Images of a token file, whose captions are on several lines.

    Args:
        path: The file.
        folder: Folder of the images, which no line may lead out of.

    Raises:
        InputError: The file cannot be read or is no UTF-8 text.
    """
    left_out, captions, number = [], [], 0
    for line, text in enumerate(text_of(path, largest=LARGEST_ANNOTATIONS).split("\n"), start=1):
        if not text.strip():
            continue
        number += 1
        found = _LINE.fullmatch(text)
        if found is None:
            left_out.append(LeftOut(f"{path}, line {line}", _MALFORMED))
        elif not lies_in(folder, folder / found[1].strip()):
            left_out.append(LeftOut(f"{path}, line {line}", OUTSIDE))
        else:
            captions.append((folder / found[1].strip(), [found[2]]))
    return Source(grouped(captions), {"lines": number}, left_out)
