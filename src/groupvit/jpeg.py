"""JPEG files that Pillow refuses, or spends hours on."""

import io

import numpy as np
from PIL import Image

MAX_SCANS = 200
"""Passes over the image in a progressive file; usual ones have about 10."""
_START, _SCAN, _END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_PADDING = b"\x00" * 64 + b"\x55" * 64


def num_scans(file: io.BytesIO | io.BufferedReader) -> int:
    """Number of scan markers in a JPEG file, which is left at its beginning; else 0."""
    file.seek(0)
    is_jpeg = file.read(2) == _START
    count = file.read().count(_SCAN) if is_jpeg else 0
    file.seek(0)
    return count


def completed(
    file: io.BytesIO | io.BufferedReader,
) -> tuple[io.BytesIO | io.BufferedReader, int] | None:
    """A JPEG file that lacks its last bytes, ended by a marker, and the number of its lost rows.

    Lost are the rows that change with what is appended to the file.

    Returns:
        None if the file is no such JPEG, or more than 5 % of the rows (at least 16) are lost.
    """
    file.seek(0)
    data = file.read()
    if not data.startswith(_START):
        return None
    images = []
    for padding in (b"", _PADDING):
        try:
            with Image.open(io.BytesIO(data + padding + _END), formats=["JPEG"]) as image:
                images.append(np.asarray(image))
        except (OSError, SyntaxError, ValueError):
            return None
    differing = (images[0] != images[1]).reshape(len(images[0]), -1).any(axis=1)
    lost = len(differing) - int(differing.argmax()) if differing.any() else 0
    if lost > max(16, len(differing) // 20):
        return None
    return io.BytesIO(data + _END), lost
