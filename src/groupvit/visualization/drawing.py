"""A picture under the colours of its labels, or as its groups."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8, UInt16
from PIL import Image, ImageDraw

from groupvit.errors import InputError
from groupvit.palette import text_colour
from groupvit.visualization.legend import draw_legend
from groupvit.visualization.lettering import INK, PAPER, font, printable, text_size
from groupvit.visualization.names import Name, place_names
from groupvit.visualization.shapes import draw_borders, draw_rounded, enlarge

LabelMap = UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]
"""For each pixel the index of its label, or of its group."""
DIMMED = 0.25
"""How bright a picture is outside a region that stands out, [0, 1]."""


def overlay(
    picture: UInt8[np.ndarray, "height width 3"],
    label_map: LabelMap,
    labels: Sequence[str],
    colours: UInt8[np.ndarray, "label 3"],
    *,
    opacity: float = 0.55,
    legend: bool = True,
) -> Image.Image:
    """Draw a picture under the colours of its labels, with borders, names and a legend beneath.

    A first label "background" is no label: there the picture is darkened, not coloured, and
    bears no name. Every region that is large enough bears the name of its label; names do not
    overlap. The legend lists the labels that occur, the largest first and the background last,
    with their shares of the picture. Accents are dropped, and what the built-in font lacks
    becomes a box. Pictures with a longer side of 160 pixels or less are enlarged by a whole
    factor, to about 320; beneath a narrow picture the legend may be wider than it.

    Args:
        picture: RGB, 0 to 255.
        label_map: For each pixel the index of its label.
        labels: The names.
        colours: One for each label, RGB, 0 to 255.
        opacity: Of the colours, [0, 1]; 0 shows the picture as it is.
        legend: Whether to add the strip beneath; without it the result is just the picture.

    Raises:
        InputError: The map has another size than the picture or an index without a label or
            colour, or the opacity is out of range.
    """
    _check(picture, label_map, min(len(labels), len(colours)))
    if not 0 <= opacity <= 1:
        raise InputError(f"opacity is {opacity}; give a number from 0 to 1")
    background = labels[0] == "background"
    picture, label_map = enlarge(picture), enlarge(label_map)
    canvas = _tint(picture, label_map, colours, opacity, background=background)
    draw_borders(canvas, label_map)
    em = text_size(*canvas.size)
    names = [printable(label) for label in labels]
    for name in place_names(label_map, names, em, background=background):
        _draw_name(canvas, name, colours[name.label])
    if not legend:
        return canvas
    strip = draw_legend(label_map, names, colours, background=background, width=canvas.width, em=em)
    return _stack(canvas, strip)


def groups(
    picture: UInt8[np.ndarray, "height width 3"],
    group_map: LabelMap,
    colours: UInt8[np.ndarray, "group 3"] | None = None,
) -> Image.Image:
    """Draw the groups of a picture, each in one colour, with borders between them.

    Args:
        picture: RGB, 0 to 255; a small one is enlarged as by `overlay`.
        group_map: For each pixel the index of its group.
        colours: One for each group, RGB, 0 to 255, laid over the picture; without them every
            group is filled with the mean colour of its pixels.

    Raises:
        InputError: The map has another size than the picture or an index without a colour.
    """
    _check(picture, group_map, 1 << 16 if colours is None else len(colours))
    opacity = 0.7
    if colours is None:
        colours, opacity = _mean_colours(picture, group_map), 1.0
    picture, group_map = enlarge(picture), enlarge(group_map)
    canvas = _tint(picture, group_map, colours, opacity, background=False)
    draw_borders(canvas, group_map)
    return canvas


def highlight(
    picture: UInt8[np.ndarray, "height width 3"], region: Bool[np.ndarray, "height width"]
) -> Image.Image:
    """Draw a picture dark but for a region; small pictures are enlarged as `overlay` does.

    Args:
        picture: RGB, 0 to 255.
        region: Which of its pixels stay as they are.
    """
    picture, region = enlarge(picture), enlarge(region)
    lit = np.where(region[..., None], picture, picture * DIMMED).astype(np.uint8)
    canvas = Image.fromarray(lit)
    draw_borders(canvas, region.astype(np.uint8))
    return canvas


def _check(picture: np.ndarray, label_map: np.ndarray, count: int) -> None:
    if picture.size == 0:
        raise InputError(f"picture of shape {picture.shape} is empty; give one with pixels")
    if picture.shape[:2] != label_map.shape:
        raise InputError(
            f"picture has the size {picture.shape[:2]} but its map {label_map.shape}; "
            "give both in the same size"
        )
    highest = int(label_map.max())
    if highest >= count:
        raise InputError(
            f"the map holds the index {highest} but there are {count} labels with colours; "
            "give one for every index"
        )


def _tint(
    picture: np.ndarray,
    label_map: np.ndarray,
    colours: np.ndarray,
    opacity: float,
    *,
    background: bool,
) -> Image.Image:
    plain = Image.fromarray(picture)
    canvas = Image.blend(plain, Image.fromarray(colours[label_map]), opacity)
    if background:
        dark = Image.blend(plain, Image.new("RGB", plain.size, INK), 0.55 * opacity)
        canvas.paste(dark, mask=Image.fromarray(label_map == 0))
    return canvas


def _mean_colours(picture: np.ndarray, group_map: np.ndarray) -> UInt8[np.ndarray, "group 3"]:
    flat = group_map.ravel()
    counts = np.maximum(np.bincount(flat), 1)
    sums = [np.bincount(flat, weights=picture[..., channel].ravel()) for channel in range(3)]
    return np.rint(np.stack(sums, axis=1) / counts[:, None]).astype(np.uint8)


def _draw_name(canvas: Image.Image, name: Name, colour: np.ndarray) -> None:
    left, top, right, bottom = name.box
    ink, radius = text_colour(colour), 0.35 * (bottom - top)
    edge = max(1, name.size // 14)
    outer = (left - edge, top - edge, right + edge, bottom + edge)
    draw_rounded(canvas, outer, ink, radius=radius + edge)
    draw_rounded(canvas, name.box, tuple(colour.tolist()), radius=radius)
    centre = ((left + right) / 2, (top + bottom) / 2)
    draw = ImageDraw.Draw(canvas)
    draw.text(centre, name.text, fill=ink, font=font(name.size), anchor="mm")


def _stack(upper: Image.Image, lower: Image.Image) -> Image.Image:
    size = (max(upper.width, lower.width), upper.height + lower.height)
    sheet = Image.new("RGB", size, PAPER)
    sheet.paste(upper, ((size[0] - upper.width) // 2, 0))
    sheet.paste(lower, (0, upper.height))
    return sheet
