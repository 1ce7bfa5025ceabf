"""Sliding windows over an image."""

from typing import NamedTuple


class Box(NamedTuple):
    """Position and size of a window [pixels]."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns, as an index into an array "height width ..."."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )


def boxes(height: int, width: int, *, window: int | None, stride: int) -> list[Box]:
    """Square windows that cover an image, row by row; one of the whole image if `window` is None.

    The last window of a row or column is moved inwards to end at the border; an image smaller
    than a window has one window of its own size.
    """
    if window is None:
        return [Box(0, 0, height, width)]
    tall, wide = min(window, height), min(window, width)
    return [
        Box(top, left, tall, wide)
        for top in _starts(height, tall, stride)
        for left in _starts(width, wide, stride)
    ]


def _starts(length: int, window: int, stride: int) -> list[int]:
    last = length - window
    return [*range(0, last, stride), last]
