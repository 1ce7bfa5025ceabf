"""An image under the colors of its labels, or as its groups."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8, UInt16
from PIL import Image, ImageDraw

from groupvit.errors import InputError
from groupvit.palette import text_color
from groupvit.visualization.fonts import font
from groupvit.visualization.legend import draw_legend
from groupvit.visualization.lettering import INK, PAPER, printable, text_size
from groupvit.visualization.names import Name, place_names
from groupvit.visualization.shapes import draw_borders, draw_rounded, enlarge

LabelMap = UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]
"""Index of the label or group of every pixel."""
DIMMED = 0.25
"""Brightness of an image outside a highlighted region, [0, 1]."""


def overlay(
    image: UInt8[np.ndarray, "height width 3"],
    label_map: LabelMap,
    labels: Sequence[str],
    colors: UInt8[np.ndarray, "label 3"],
    *,
    opacity: float = 0.55,
    legend: bool = True,
) -> Image.Image:
    """Draw an image under the colors of its labels, with borders, names and a legend beneath.

    Where the first label is "background", the image is darkened instead of colored and has no name.
    Every region that is large enough has the name of its label; names do not overlap. The legend
    lists the labels that occur with their shares of the image, the largest first and the background
    last. Names that the built-in font lacks are drawn in a font of this machine, or without
    accents; a label with characters that no font has is drawn as `label N`, where N is its index,
    with a `MissingGlyphWarning`. Images with a
    longer side of 160 pixels or less are enlarged by a whole factor, to about 320; the legend may
    be wider than a narrow image.

    Args:
        image: RGB, 0 to 255.
        label_map: Index of the label of every pixel.
        labels: Names of the labels.
        colors: Color of each label, RGB, 0 to 255.
        opacity: Opacity of the colors, [0, 1].
        legend: Add a legend beneath the image.

    Raises:
        InputError: The map has another size than the image or an index without a label or
            color, or the opacity is out of range.
    """
    _check(image, label_map, min(len(labels), len(colors)))
    if not 0 <= opacity <= 1:
        raise InputError(f"opacity is {opacity}; give a number from 0 to 1")
    background = labels[0] == "background"
    image, label_map = enlarge(image), enlarge(label_map)
    canvas = _tint(image, label_map, colors, opacity, background=background)
    draw_borders(canvas, label_map)
    em = text_size(*canvas.size)
    names = [printable(label, otherwise=f"label {index}") for index, label in enumerate(labels)]
    for name in place_names(label_map, names, em, background=background):
        _draw_name(canvas, name, colors[name.label])
    if not legend:
        return canvas
    strip = draw_legend(label_map, names, colors, background=background, width=canvas.width, em=em)
    return _stack(canvas, strip)


def groups(
    image: UInt8[np.ndarray, "height width 3"],
    group_map: LabelMap,
    colors: UInt8[np.ndarray, "group 3"] | None = None,
) -> Image.Image:
    """Draw the groups of an image, each in one color, with borders between them.

    Args:
        image: RGB, 0 to 255; a small one is enlarged as by `overlay`.
        group_map: Index of the group of every pixel.
        colors: Color of each group, RGB, 0 to 255, over the image; None: every group is filled with
            the mean color of its pixels.

    Raises:
        InputError: The map has another size than the image or an index without a color.
    """
    _check(image, group_map, 1 << 16 if colors is None else len(colors))
    opacity = 0.7
    if colors is None:
        colors, opacity = _mean_colors(image, group_map), 1.0
    image, group_map = enlarge(image), enlarge(group_map)
    canvas = _tint(image, group_map, colors, opacity, background=False)
    draw_borders(canvas, group_map)
    return canvas


def highlight(
    image: UInt8[np.ndarray, "height width 3"], region: Bool[np.ndarray, "height width"]
) -> Image.Image:
    """Darken an image outside a region; small images are enlarged as by `overlay`.

    Args:
        image: RGB, 0 to 255.
        region: Pixels that keep their brightness.
    """
    image, region = enlarge(image), enlarge(region)
    lit = np.where(region[..., None], image, image * DIMMED).astype(np.uint8)
    canvas = Image.fromarray(lit)
    draw_borders(canvas, region.astype(np.uint8))
    return canvas


def _check(image: np.ndarray, label_map: np.ndarray, count: int) -> None:
    if image.size == 0:
        raise InputError(f"image of shape {image.shape} is empty; give one with pixels")
    if image.shape[:2] != label_map.shape:
        raise InputError(
            f"image has the size {image.shape[:2]} but its map {label_map.shape}; "
            "give both in the same size"
        )
    highest = int(label_map.max())
    if highest >= count:
        raise InputError(
            f"the map holds the index {highest} but there are {count} labels with colors; "
            "give one for every index"
        )


def _tint(
    image: np.ndarray,
    label_map: np.ndarray,
    colors: np.ndarray,
    opacity: float,
    *,
    background: bool,
) -> Image.Image:
    plain = Image.fromarray(image)
    canvas = Image.blend(plain, Image.fromarray(colors[label_map]), opacity)
    if background:
        dark = Image.blend(plain, Image.new("RGB", plain.size, INK), 0.55 * opacity)
        canvas.paste(dark, mask=Image.fromarray(label_map == 0))
    return canvas


def _mean_colors(image: np.ndarray, group_map: np.ndarray) -> UInt8[np.ndarray, "group 3"]:
    flat = group_map.ravel()
    counts = np.maximum(np.bincount(flat), 1)
    sums = [np.bincount(flat, weights=image[..., channel].ravel()) for channel in range(3)]
    return np.rint(np.stack(sums, axis=1) / counts[:, None]).astype(np.uint8)


def _draw_name(canvas: Image.Image, name: Name, color: np.ndarray) -> None:
    left, top, right, bottom = name.box
    ink, radius = text_color(color), 0.35 * (bottom - top)
    edge = max(1, name.size // 14)
    outer = (left - edge, top - edge, right + edge, bottom + edge)
    draw_rounded(canvas, outer, ink, radius=radius + edge)
    draw_rounded(canvas, name.box, tuple(color.tolist()), radius=radius)
    center = ((left + right) / 2, (top + bottom) / 2)
    draw = ImageDraw.Draw(canvas)
    draw.text(center, name.text, fill=ink, font=font(name.size, name.text), anchor="mm")


def _stack(upper: Image.Image, lower: Image.Image) -> Image.Image:
    size = (max(upper.width, lower.width), upper.height + lower.height)
    sheet = Image.new("RGB", size, PAPER)
    sheet.paste(upper, ((size[0] - upper.width) // 2, 0))
    sheet.paste(lower, (0, upper.height))
    return sheet
