"""Rendering of a layout: the image, and the mask with the class of every pixel."""

import random

from PIL import Image, ImageDraw

from groupvit.storybook.layout import Layout
from groupvit.storybook.pen import Light, Pen, lit, shade
from groupvit.storybook.placing import Placed
from groupvit.storybook.regions import Region
from groupvit.storybook.road import draw_dashes
from groupvit.storybook.stuff import STUFF, paint, paint_sky
from groupvit.storybook.things import THINGS

INDEX = {name: index for index, name in enumerate((*STUFF, *THINGS))}
"""Index of each class in masks, stuff first."""


def draw(
    layout: Layout, rng: random.Random, side: int
) -> tuple[Image.Image, Image.Image, dict[str, tuple[str, ...]]]:
    """Image, mask, and adjectives of each class, which are empty if things of a class differ.

    Args:
        layout: Positions of regions and things.
        rng: Source of colors and shapes.
        side: Height and width [pixels].
    """
    image = Image.new("RGB", (side, side))
    mask = Image.new("L", (side, side))
    adjectives: dict[str, tuple[str, ...]] = {}
    for region in layout.regions:
        adjectives[region.stuff] = _fill(image, mask, region, layout.light, rng)
    pen = Pen(image, mask, layout.light)
    for placed in layout.things:
        adjective = _put(image, pen, placed, rng)
        # Several of a kind share an adjective only if it fits all.
        same = adjectives.get(placed.kind, (adjective,)) == (adjective,)
        adjectives[placed.kind] = (adjective,) if same else ()
    return image, mask, adjectives


def _fill(
    image: Image.Image, mask: Image.Image, region: Region, light: Light, rng: random.Random
) -> tuple[str, ...]:
    side = image.width
    if region.stuff == "sky":
        mask.paste(INDEX["sky"], (0, 0, side, side))
        return paint_sky(image, rng, light=light, horizon=region.bottom)
    points = [(x * side, y * side) for x, y in region.outline]
    top = max(0, int(min((y for _, y in points), default=0)))
    layer, adjectives = paint(region.stuff, rng, side=side, height=side - top, light=light)
    if not points:
        image.paste(layer, (0, 0))
        mask.paste(INDEX[region.stuff], (0, 0, side, side))
    else:
        shape = Image.new("L", layer.size)
        ImageDraw.Draw(shape).polygon([(x, y - top) for x, y in points], fill=255)
        image.paste(layer, (0, top), shape)
        mask.paste(INDEX[region.stuff], (0, top), shape)
    if region.stuff == "road":
        draw_dashes(image, region, light, rng)
    elif region.top:
        _trim(image, region, light)
    return adjectives


def _trim(image: Image.Image, region: Region, light: Light) -> None:
    """Border of a region: a skirting board on floors, foam before sea, a dark edge elsewhere."""
    side = image.width
    edge = [(x * side, y * side) for x, y in region.outline[:-2]]
    draw = ImageDraw.Draw(image, "RGBA")
    if region.stuff == "floor":
        draw.line(edge, fill=(*lit((250, 246, 236), light), 200), width=max(1, side // 54))
    elif region.stuff == "sea":
        draw.line(edge, fill=(255, 255, 255, 90), width=max(1, side // 90))
    else:
        draw.line(edge, fill=(40, 40, 40, 40), width=max(1, side // 100))


def _put(image: Image.Image, pen: Pen, placed: Placed, rng: random.Random) -> str:
    x, foot, height = placed.x, placed.foot, placed.height
    aspect = THINGS[placed.kind].aspect
    if placed.on_shelf:
        _shelf(image, placed, pen.light)
    pen.move_to(INDEX[placed.kind], x=x, foot=foot, height=height)
    if placed.ground not in ("sky", "sea", "wall") and placed.kind != "balloon":
        pen.ellipse(0.06, 0.0, aspect * 0.46, 0.055, (20, 22, 40, 58), detail=True)
    pen.move_to(
        INDEX[placed.kind],
        x=x,
        foot=foot,
        height=height,
        flipped=placed.flipped,
        tilt=placed.tilt,
    )
    return THINGS[placed.kind].draw(pen, rng, placed.ground)


def _shelf(image: Image.Image, placed: Placed, light: Light) -> None:
    """A plank below the thing; in the mask it belongs to the wall."""
    side, draw = image.width, ImageDraw.Draw(image)
    left, _, right, bottom = (value * side for value in placed.box)
    wood, thick = lit((166, 120, 80), light), max(1, side // 36)
    reach = 0.05 * side
    draw.rectangle((left - reach, bottom - 1, right + reach, bottom + thick), fill=wood)
    under = (left - reach, bottom + thick, right + reach, bottom + thick * 1.4)
    draw.rectangle(under, fill=shade(wood, -0.4))
