"""Rendering of stuff: sky, grass, sand, sea, snow, road, wall, floor."""

import random
from typing import NamedTuple

from PIL import Image

from groupvit.storybook.pen import RGB, Light, lit, mix, shade
from groupvit.storybook.textures import PATTERN_SCALE, fade, pattern

STUFF = ("sky", "grass", "sand", "sea", "snow", "road", "wall", "floor")


class Layer(NamedTuple):
    """A pattern over the base color, in a darker (negative) or lighter shade of it."""

    pattern: str
    shade: float


class Material(NamedTuple):
    """A variant of a stuff: its adjectives in captions, its base color, and its patterns."""

    adjectives: tuple[str, ...]
    color: RGB
    layers: tuple[Layer, ...]


_GRASS = (Layer("clouds", -0.16), Layer("blades", 0.2), Layer("tufts", -0.2))
_SAND = (Layer("clouds", -0.1), Layer("grain", -0.16), Layer("pebbles", -0.22))
_DUNES = (Layer("ripples", -0.2), Layer("grain", -0.14), Layer("pebbles", 0.3))
_SEA = (Layer("clouds", -0.2), Layer("waves", 0.34))
_SNOW = (Layer("drifts", -0.12), Layer("sparkle", -0.12))
_ROAD = (Layer("grain", -0.16), Layer("clouds", 0.1))
_BRICKS = (Layer("patches", -0.3), Layer("bricks", 0.55))
_PLASTER = (Layer("clouds", -0.12),)
_WOOD = (Layer("planks", -0.42),)
_BOARDS = (Layer("boards", -0.42),)

MATERIALS: dict[str, tuple[Material, ...]] = {
    "grass": (
        Material(("green",), (104, 166, 74), _GRASS),
        Material(("green", "bright"), (132, 190, 80), _GRASS),
        Material(("dark", "green"), (66, 128, 66), _GRASS),
        Material(("dry", "yellow"), (172, 172, 84), _GRASS),
    ),
    "sand": (
        Material(("yellow", "soft"), (236, 208, 142), _SAND),
        Material(("golden", "warm"), (226, 186, 112), _DUNES),
        Material(("pale", "fine"), (240, 222, 178), _DUNES),
        Material(("brown", "wet"), (204, 168, 120), _SAND),
    ),
    "sea": (
        Material(("blue",), (58, 122, 184), _SEA),
        Material(("blue", "calm"), (76, 148, 200), _SEA),
        Material(("dark", "deep"), (38, 84, 140), _SEA),
        Material(("green", "clear"), (60, 158, 160), _SEA),
    ),
    "snow": (
        Material(("white",), (243, 246, 250), _SNOW),
        Material(("fresh", "white"), (232, 240, 250), _SNOW),
        Material(("cold", "deep"), (222, 230, 244), _SNOW),
    ),
    "road": (
        Material(("grey",), (128, 128, 132), _ROAD),
        Material(("dark", "grey"), (92, 93, 100), _ROAD),
        Material(("grey", "dusty"), (148, 142, 134), _ROAD),
    ),
    "wall": (
        Material(("brick", "red"), (184, 96, 76), _BRICKS),
        Material(("brick", "yellow"), (214, 172, 112), _BRICKS),
        Material(
            ("brick", "white"), (214, 208, 200), (Layer("patches", -0.1), Layer("bricks", -0.24))
        ),
        Material(("plain", "white"), (240, 236, 226), _PLASTER),
        Material(("plain", "yellow"), (244, 216, 140), _PLASTER),
        Material(("plain", "blue"), (150, 184, 214), _PLASTER),
        Material(("striped", "pink"), (240, 184, 190), (Layer("stripes", 0.45),)),
        Material(("striped", "green"), (158, 194, 150), (Layer("stripes", 0.42),)),
        Material(("striped", "blue"), (138, 168, 208), (Layer("stripes", 0.4),)),
        Material(("dotted", "purple"), (190, 168, 212), (Layer("spots", 0.5),)),
        Material(("dotted", "orange"), (240, 190, 140), (Layer("spots", 0.5),)),
    ),
    "floor": (
        Material(("wooden", "brown"), (176, 124, 78), _WOOD),
        Material(("wooden", "light"), (212, 168, 116), _WOOD),
        Material(("wooden", "dark"), (128, 88, 60), _BOARDS),
        Material(("wooden", "brown"), (192, 142, 94), _BOARDS),
        Material(
            ("tiled", "white"), (222, 224, 220), (Layer("clouds", -0.1), Layer("tiles", -0.3))
        ),
        Material(("tiled", "red"), (196, 118, 90), (Layer("clouds", -0.14), Layer("tiles", 0.4))),
        Material(
            ("tiled", "blue"), (130, 162, 184), (Layer("clouds", -0.12), Layer("tiles", 0.45))
        ),
        Material(("checkered",), (232, 226, 212), (Layer("checker", -0.5),)),
        Material(("checkered",), (214, 224, 226), (Layer("checker", -0.32),)),
    ),
}


class Sky(NamedTuple):
    """A variant of the sky: its adjectives, and its colors at the top and the horizon."""

    adjectives: tuple[str, ...]
    top: RGB
    bottom: RGB


SKIES: dict[Light, tuple[Sky, ...]] = {
    "day": (
        Sky(("blue", "clear"), (84, 152, 222), (190, 222, 244)),
        Sky(("blue", "bright"), (120, 184, 238), (222, 238, 246)),
        Sky(("pale", "light"), (164, 200, 226), (238, 240, 236)),
        Sky(("grey", "pale"), (150, 164, 178), (214, 218, 220)),
    ),
    "dusk": (
        Sky(("orange", "evening"), (110, 112, 178), (252, 178, 112)),
        Sky(("pink", "evening"), (132, 124, 196), (248, 178, 184)),
        Sky(("red", "evening"), (112, 76, 132), (240, 128, 88)),
        Sky(("purple", "evening"), (88, 80, 150), (214, 150, 184)),
    ),
    "night": (
        Sky(("dark", "black"), (12, 16, 44), (44, 54, 100)),
        Sky(("dark", "starry"), (18, 26, 66), (62, 76, 132)),
        Sky(("dark", "blue"), (22, 40, 84), (70, 96, 150)),
    ),
}


def paint_sky(
    image: Image.Image, rng: random.Random, *, light: Light, horizon: float
) -> tuple[str, ...]:
    """Fill an image with sky down to the horizon; returns its adjectives."""
    side = image.width
    sky = rng.choice(SKIES[light])
    image.paste(_vary(sky.top, rng), (0, 0, side, side))
    image.paste(_vary(sky.bottom, rng), (0, 0), fade(side, max(4, round(16 * horizon)), 255))
    if light == "night":
        image.paste((250, 246, 226), (0, 0), _random_crop("stars", rng, side, side))
    elif rng.random() < 0.5:
        image.paste(
            mix(sky.bottom, (255, 255, 255), 0.5), (0, 0), _random_crop("wisps", rng, side, side)
        )
    return sky.adjectives


def paint(
    name: str, rng: random.Random, *, side: int, height: int, light: Light
) -> tuple[Image.Image, tuple[str, ...]]:
    """Image of a stuff, `side` pixels wide, and its adjectives."""
    material = rng.choice(MATERIALS[name])
    color = lit(_vary(material.color, rng), light)
    image = Image.new("RGB", (side, height), color)
    for layer in material.layers:
        image.paste(
            shade(color, layer.shade), (0, 0), _random_crop(layer.pattern, rng, side, height)
        )
    nearer = fade(side, max(4, round(16 * height / side)), 80).crop((0, 0, side, height))
    image.paste(shade(color, -0.5), (0, 0), nearer)
    return image, material.adjectives


def _random_crop(name: str, rng: random.Random, width: int, height: int) -> Image.Image:
    surplus = PATTERN_SCALE * width - width
    left, top = int(rng.random() * surplus), int(rng.random() * surplus)
    return pattern(name, width).crop((left, top, left + width, top + height))


def _vary(color: RGB, rng: random.Random) -> RGB:
    all_by, red, blue = rng.randint(-9, 9), rng.randint(-7, 7), rng.randint(-7, 7)
    return (
        min(255, max(0, color[0] + all_by + red)),
        min(255, max(0, color[1] + all_by)),
        min(255, max(0, color[2] + all_by + blue)),
    )
