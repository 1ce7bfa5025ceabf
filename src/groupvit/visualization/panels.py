"""Images beside each other."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from groupvit.errors import InputError
from groupvit.visualization.fonts import font
from groupvit.visualization.lettering import INK, PAPER, printable, shorten, text_size
from groupvit.visualization.shapes import factor

LARGEST = 1600
"""Panels are reduced to this many pixels on the longer side."""


def side_by_side(panels: Sequence[tuple[str, Image.Image]], *, columns: int) -> Image.Image:
    """Draw titled images in a grid on white, row by row, all in cells of the same size.

    The cell is as wide and as high as the widest and the highest panel, but 320 to 1600 pixels on
    its longer side. Panels keep their proportions; small ones are enlarged by a whole factor.

    Args:
        panels: Title and image of each; long titles are cut.
        columns: Maximum number of panels in a row, at least 1.

    Raises:
        InputError: There are no panels, or less than one column.
    """
    if not panels or columns < 1:
        raise InputError(
            f"{len(panels)} panels in {columns} columns; give at least one panel and one column"
        )
    cell = _cell([image.size for _, image in panels])
    columns = min(columns, len(panels))
    size = text_size(*cell)
    gap, above = round(1.2 * size), 2 * size
    images = [_fit(image.convert("RGB"), cell) for _, image in panels]
    heights = [
        above + max(image.height for image in images[first : first + columns]) + gap // 2
        for first in range(0, len(panels), columns)
    ]
    sheet = Image.new("RGB", (gap + columns * (cell[0] + gap), sum(heights) + gap), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (title, _) in enumerate(panels):
        row, column = divmod(number, columns)
        x, y = gap + column * (cell[0] + gap), gap // 2 + sum(heights[:row])
        face = font(round(1.1 * size), printable(title))
        text = shorten(printable(title), cell[0], face)
        draw.text((x, y + above / 2), text, fill=INK, font=face, anchor="lm")
        sheet.paste(images[number], (x, y + above))
    return sheet


def _cell(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    width = max(width * factor(width, height) for width, height in sizes)
    height = max(height * factor(width, height) for width, height in sizes)
    scale = min(1, LARGEST / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _fit(image: Image.Image, cell: tuple[int, int]) -> Image.Image:
    """The image in the width of the cell or, if that makes it too high, in its height."""
    scale = min(cell[0] / image.width, cell[1] / image.height)
    smooth = scale < 2
    scale = scale if smooth else int(scale)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    if scale == 1:
        return image
    return image.resize(size, Image.Resampling.LANCZOS if smooth else Image.Resampling.NEAREST)
