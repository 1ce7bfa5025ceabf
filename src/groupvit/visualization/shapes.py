"""Shapes drawn on images, and enlarging of small images."""

import numpy as np
from jaxtyping import Bool, Shaped, UInt8, UInt16
from PIL import Image, ImageDraw

from groupvit.visualization.lettering import INK, PAPER

SMALLEST = 320
"""Images whose longer side has half as many pixels or fewer are enlarged to about this."""


def factor(width: int, height: int) -> int:
    """Factor by which a small image is enlarged: a whole number, so that nothing is blurred."""
    return max(1, SMALLEST // max(width, height))


def enlarge(array: Shaped[np.ndarray, "*size"]) -> Shaped[np.ndarray, "*larger"]:
    """Enlarge a small image or label map by `factor`."""
    times = factor(array.shape[1], array.shape[0])
    return array if times == 1 else array.repeat(times, axis=0).repeat(times, axis=1)


def draw_rounded(
    canvas: Image.Image, box: tuple[int, int, int, int], color: tuple[int, ...], *, radius: float
) -> None:
    """Fill a rectangle with round corners; drawn large and reduced, its edges are smooth.

    Args:
        canvas: Image to draw on.
        box: Left, top, right, bottom in pixels.
        color: RGB, 0 to 255.
        radius: Of the corners, in pixels.
    """
    width, height = box[2] - box[0], box[3] - box[1]
    mask = Image.new("L", (4 * width, 4 * height))
    corners = (0, 0, 4 * width - 1, 4 * height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(corners, radius=4 * radius, fill=255)
    canvas.paste(color, box[:2], mask.reduce(4))


def draw_borders(
    canvas: Image.Image,
    label_map: UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"],
) -> None:
    """Draw white lines with a soft dark outline, visible on any color."""
    width = max(1, round(max(canvas.size) / 700))
    line = np.zeros(label_map.shape, bool)
    line[:, 1:] |= label_map[:, 1:] != label_map[:, :-1]
    line[1:] |= label_map[1:] != label_map[:-1]
    line = _thicken(line, width - 1)
    canvas.paste(INK, mask=Image.fromarray(_thicken(line, 2 * width) * np.uint8(90)))
    canvas.paste(PAPER, mask=Image.fromarray(line * np.uint8(235)))


def _thicken(
    line: Bool[np.ndarray, "height width"], pixels: int
) -> Bool[np.ndarray, "height width"]:
    """Widen by some pixels, alternately to the upper left and to the lower right."""
    for turn in range(pixels):
        here, there = slice(-1), slice(1, None)
        if turn % 2:
            here, there = there, here
        thick = line.copy()
        thick[here] |= line[there]
        thick[:, here] |= thick[:, there].copy()
        line = thick
    return line
