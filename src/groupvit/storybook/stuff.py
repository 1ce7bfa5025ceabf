"""What fills a region: sky, grass, sand, sea, snow, road, wall, floor."""

import random
from typing import NamedTuple

from PIL import Image

from groupvit.storybook.pen import RGB, Light, lit, mix, shade
from groupvit.storybook.textures import LARGER, fade, pattern

STUFF = ("sky", "grass", "sand", "sea", "snow", "road", "wall", "floor")


class Coat(NamedTuple):
    """One pattern laid over the ground color, darker or lighter by a share."""

    pattern: str
    shade: float


class Face(NamedTuple):
    """A look of some stuff: its color, the patterns on it, and what captions call it."""

    words: tuple[str, ...]
    color: RGB
    coats: tuple[Coat, ...]


_GRASS = (Coat("clouds", -0.16), Coat("blades", 0.2), Coat("tufts", -0.2))
_SAND = (Coat("clouds", -0.1), Coat("grain", -0.16), Coat("pebbles", -0.22))
_DUNES = (Coat("ripples", -0.2), Coat("grain", -0.14), Coat("pebbles", 0.3))
_SEA = (Coat("clouds", -0.2), Coat("waves", 0.34))
_SNOW = (Coat("drifts", -0.12), Coat("sparkle", -0.12))
_ROAD = (Coat("grain", -0.16), Coat("clouds", 0.1))
_BRICKS = (Coat("patches", -0.3), Coat("bricks", 0.55))
_PLASTER = (Coat("clouds", -0.12),)
_WOOD = (Coat("planks", -0.42),)
_BOARDS = (Coat("boards", -0.42),)

FACES: dict[str, tuple[Face, ...]] = {
    "grass": (
        Face(("green",), (104, 166, 74), _GRASS),
        Face(("green", "bright"), (132, 190, 80), _GRASS),
        Face(("dark", "green"), (66, 128, 66), _GRASS),
        Face(("dry", "yellow"), (172, 172, 84), _GRASS),
    ),
    "sand": (
        Face(("yellow", "soft"), (236, 208, 142), _SAND),
        Face(("golden", "warm"), (226, 186, 112), _DUNES),
        Face(("pale", "fine"), (240, 222, 178), _DUNES),
        Face(("brown", "wet"), (204, 168, 120), _SAND),
    ),
    "sea": (
        Face(("blue",), (58, 122, 184), _SEA),
        Face(("blue", "calm"), (76, 148, 200), _SEA),
        Face(("dark", "deep"), (38, 84, 140), _SEA),
        Face(("green", "clear"), (60, 158, 160), _SEA),
    ),
    "snow": (
        Face(("white",), (243, 246, 250), _SNOW),
        Face(("fresh", "white"), (232, 240, 250), _SNOW),
        Face(("cold", "deep"), (222, 230, 244), _SNOW),
    ),
    "road": (
        Face(("grey",), (128, 128, 132), _ROAD),
        Face(("dark", "grey"), (92, 93, 100), _ROAD),
        Face(("grey", "dusty"), (148, 142, 134), _ROAD),
    ),
    "wall": (
        Face(("brick", "red"), (184, 96, 76), _BRICKS),
        Face(("brick", "yellow"), (214, 172, 112), _BRICKS),
        Face(("brick", "white"), (214, 208, 200), (Coat("patches", -0.1), Coat("bricks", -0.24))),
        Face(("plain", "white"), (240, 236, 226), _PLASTER),
        Face(("plain", "yellow"), (244, 216, 140), _PLASTER),
        Face(("plain", "blue"), (150, 184, 214), _PLASTER),
        Face(("striped", "pink"), (240, 184, 190), (Coat("stripes", 0.45),)),
        Face(("striped", "green"), (158, 194, 150), (Coat("stripes", 0.42),)),
        Face(("striped", "blue"), (138, 168, 208), (Coat("stripes", 0.4),)),
        Face(("dotted", "purple"), (190, 168, 212), (Coat("spots", 0.5),)),
        Face(("dotted", "orange"), (240, 190, 140), (Coat("spots", 0.5),)),
    ),
    "floor": (
        Face(("wooden", "brown"), (176, 124, 78), _WOOD),
        Face(("wooden", "light"), (212, 168, 116), _WOOD),
        Face(("wooden", "dark"), (128, 88, 60), _BOARDS),
        Face(("wooden", "brown"), (192, 142, 94), _BOARDS),
        Face(("tiled", "white"), (222, 224, 220), (Coat("clouds", -0.1), Coat("tiles", -0.3))),
        Face(("tiled", "red"), (196, 118, 90), (Coat("clouds", -0.14), Coat("tiles", 0.4))),
        Face(("tiled", "blue"), (130, 162, 184), (Coat("clouds", -0.12), Coat("tiles", 0.45))),
        Face(("checkered",), (232, 226, 212), (Coat("checker", -0.5),)),
        Face(("checkered",), (214, 224, 226), (Coat("checker", -0.32),)),
    ),
}


class Sky(NamedTuple):
    """A sky: its colors above and at the horizon."""

    words: tuple[str, ...]
    above: RGB
    below: RGB


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
    """Fill a canvas with sky down to the horizon; gives words for it."""
    side = image.width
    sky = rng.choice(SKIES[light])
    image.paste(_vary(sky.above, rng), (0, 0, side, side))
    image.paste(_vary(sky.below, rng), (0, 0), fade(side, max(4, round(16 * horizon)), 255))
    if light == "night":
        image.paste((250, 246, 226), (0, 0), _cut("stars", rng, side, side))
    elif rng.random() < 0.5:
        image.paste(mix(sky.below, (255, 255, 255), 0.5), (0, 0), _cut("wisps", rng, side, side))
    return sky.words


def paint(
    name: str, rng: random.Random, *, side: int, height: int, light: Light
) -> tuple[Image.Image, tuple[str, ...]]:
    """Give a canvas of some stuff, `side` pixels wide, and words for it."""
    face = rng.choice(FACES[name])
    color = lit(_vary(face.color, rng), light)
    image = Image.new("RGB", (side, height), color)
    for coat in face.coats:
        image.paste(shade(color, coat.shade), (0, 0), _cut(coat.pattern, rng, side, height))
    nearer = fade(side, max(4, round(16 * height / side)), 80).crop((0, 0, side, height))
    image.paste(shade(color, -0.5), (0, 0), nearer)
    return image, face.words


def _cut(name: str, rng: random.Random, width: int, height: int) -> Image.Image:
    room = LARGER * width - width
    left, top = int(rng.random() * room), int(rng.random() * room)
    return pattern(name, width).crop((left, top, left + width, top + height))


def _vary(color: RGB, rng: random.Random) -> RGB:
    all_by, red, blue = rng.randint(-9, 9), rng.randint(-7, 7), rng.randint(-7, 7)
    return (
        min(255, max(0, color[0] + all_by + red)),
        min(255, max(0, color[1] + all_by)),
        min(255, max(0, color[2] + all_by + blue)),
    )
