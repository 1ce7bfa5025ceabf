"""Patterns of stuff such as grass, sand or bricks: masks through which a color is painted.

They are drawn once for each size, 1.5 times as large as the image, so that every image shows
another part of them.
"""

import random
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

PATTERN_SCALE = 1.5
"""Side of a pattern / side of the image."""


@cache
def pattern(name: str, side: int) -> Image.Image:
    """Pattern for an image `side` pixels wide: mode L, opacity of the color from 0 to 255."""
    image = Image.new("L", (round(PATTERN_SCALE * side),) * 2)
    rng = random.Random(f"pattern {name}")
    return _PATTERNS[name](image, rng)


@cache
def fade(side: int, sixteenth: int, most: int) -> Image.Image:
    """Mask that grows from 0 at the top to `most` at `sixteenth` / 16 of the height."""
    full = max(1.0, sixteenth / 16 * side)
    column = np.clip(np.arange(side) / full, 0, 1) ** 1.2 * most
    return Image.fromarray(np.repeat(column.astype(np.uint8)[:, None], side, axis=1))


def _noise(image: Image.Image, rng: random.Random, cells: int, strength: float) -> Image.Image:
    draws = np.random.default_rng(rng.getrandbits(32)).random((cells, cells))
    coarse = Image.fromarray((draws * strength * 255).astype(np.uint8))
    return coarse.resize(image.size, Image.Resampling.BICUBIC)


def _grain(image: Image.Image, rng: random.Random) -> Image.Image:
    return _noise(image, rng, 210, 0.6)


def _clouds(image: Image.Image, rng: random.Random) -> Image.Image:
    broad = np.asarray(_noise(image, rng, 9, 0.6), dtype=np.uint16)
    narrow = np.asarray(_noise(image, rng, 24, 0.4), dtype=np.uint16)
    return Image.fromarray(np.minimum(broad + narrow, 255).astype(np.uint8))


def _wisps(image: Image.Image, rng: random.Random) -> Image.Image:
    draws = np.random.default_rng(rng.getrandbits(32)).random((26, 6))
    coarse = Image.fromarray((np.clip(draws * 2 - 1, 0, 1) * 170).astype(np.uint8))
    return coarse.resize(image.size, Image.Resampling.BICUBIC)


def _blades(image: Image.Image, rng: random.Random) -> Image.Image:
    draw, side = ImageDraw.Draw(image), image.width
    for _ in range(1500):
        x, y = rng.uniform(0, side), rng.uniform(0, side)
        high, lean = rng.uniform(0.016, 0.036) * side, rng.uniform(-0.012, 0.012) * side
        wide = 0.0042 * side
        blade = [(x - wide, y), (x + wide, y), (x + lean, y - high)]
        draw.polygon(blade, fill=rng.randint(90, 230))
    return image


def _waves(image: Image.Image, rng: random.Random) -> Image.Image:
    draw, side = ImageDraw.Draw(image), image.width
    for row in range(40):
        y = (row + rng.uniform(-0.2, 0.2)) * side / 40
        for _ in range(rng.randint(5, 8)):
            _crest(draw, rng, rng.uniform(-0.1, 1.0) * side, y, side)
    return image


def _crest(draw: ImageDraw.ImageDraw, rng: random.Random, x: float, y: float, side: int) -> None:
    wide, high = rng.uniform(0.04, 0.1) * side, rng.uniform(0.006, 0.011) * side
    upper = [(x + wide * i / 8, y - high * (1 - (i / 4 - 1) ** 2)) for i in range(9)]
    lower = [(x + wide * i / 8, y - high * 0.25 * (1 - (i / 4 - 1) ** 2)) for i in range(8, -1, -1)]
    draw.polygon(upper + lower, fill=rng.randint(90, 220))


def _ripples(image: Image.Image, rng: random.Random) -> Image.Image:
    side = image.width
    y, x = np.mgrid[0:side, 0:side] / side
    bend = np.asarray(_noise(image, rng, 8, 1.0)) / 255
    waves = np.sin((y * 26 + bend * 3 + 0.4 * np.sin(x * 9)) * np.pi * 2)
    return Image.fromarray((np.clip(waves, 0, 1) * 110).astype(np.uint8))


def _dots(image: Image.Image, rng: random.Random, count: int, low: float, high: float) -> None:
    draw, side = ImageDraw.Draw(image), image.width
    for _ in range(count):
        x, y, radius = rng.uniform(0, side), rng.uniform(0, side), rng.uniform(low, high) * side
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=rng.randint(110, 255))


def _sparkle(image: Image.Image, rng: random.Random) -> Image.Image:
    _dots(image, rng, 320, 0.002, 0.0045)
    return image


def _pebbles(image: Image.Image, rng: random.Random) -> Image.Image:
    _dots(image, rng, 900, 0.0016, 0.0042)
    return image


def _drifts(image: Image.Image, rng: random.Random) -> Image.Image:
    _dots(image, rng, 26, 0.03, 0.11)
    image = image.resize((image.width, image.height // 2)).resize(image.size)
    return image.filter(ImageFilter.GaussianBlur(image.width / 26))


def _courses(image: Image.Image, *, rows: int, columns: float, joint: float) -> Image.Image:
    draw, side = ImageDraw.Draw(image), image.width
    high, wide, thick = side / rows, side / columns, max(1, round(joint * side))
    for row in range(rows + 1):
        y = row * high
        draw.line((0, y, side, y), fill=255, width=thick)
        for column in range(-1, int(columns) + 2):
            x = (column + 0.5 * (row % 2)) * wide
            draw.line((x, y, x, y + high), fill=255, width=thick)
    return image


def _bricks(image: Image.Image, rng: random.Random) -> Image.Image:
    del rng
    return _courses(image, rows=18, columns=9.0, joint=0.006)


def _patches(image: Image.Image, rng: random.Random) -> Image.Image:
    """Bricks of slightly different brightness."""
    draw, side = ImageDraw.Draw(image), image.width
    for row in range(18):
        for column in range(-1, 10):
            x, y = (column + 0.5 * (row % 2)) * side / 9, row * side / 18
            draw.rectangle((x, y, x + side / 9, y + side / 18), fill=rng.randint(0, 90))
    return image


def _planks(image: Image.Image, rng: random.Random) -> Image.Image:
    draw, side = ImageDraw.Draw(image), image.width
    high, thick = side / 13, max(1, round(0.005 * side))
    for row in range(14):
        y = row * high
        draw.rectangle((0, y, side, y + high), fill=rng.randint(0, 60))
        for _ in range(5):
            grain, x = y + rng.uniform(0.15, 0.9) * high, rng.uniform(-0.2, 0.9) * side
            draw.line((x, grain, x + 0.3 * side, grain), fill=rng.randint(50, 100))
        for _ in range(3):
            x = rng.uniform(0, side)
            draw.line((x, y, x, y + high), fill=255, width=thick)
        draw.line((0, y, side, y), fill=255, width=thick)
    return image


def _boards(image: Image.Image, rng: random.Random) -> Image.Image:
    return _planks(image, rng).transpose(Image.Transpose.ROTATE_90)


def _tiles(image: Image.Image, rng: random.Random) -> Image.Image:
    del rng
    draw, side = ImageDraw.Draw(image), image.width
    for line in range(10):
        at, thick = line * side / 9, max(1, round(0.007 * side))
        draw.line((0, at, side, at), fill=255, width=thick)
        draw.line((at, 0, at, side), fill=255, width=thick)
    return image


def _checker(image: Image.Image, rng: random.Random) -> Image.Image:
    del rng
    draw, cell = ImageDraw.Draw(image), image.width / 12
    for row in range(12):
        for column in range(row % 2, 12, 2):
            x, y = column * cell, row * cell
            draw.rectangle((x, y, x + cell, y + cell), fill=255)
    return image


def _stripes(image: Image.Image, rng: random.Random) -> Image.Image:
    del rng
    draw, wide = ImageDraw.Draw(image), image.width / 24
    for column in range(0, 24, 2):
        draw.rectangle((column * wide, 0, (column + 1) * wide, image.height), fill=220)
    return image


def _spots(image: Image.Image, rng: random.Random) -> Image.Image:
    del rng
    draw, cell = ImageDraw.Draw(image), image.width / 15
    radius = cell * 0.24
    for row in range(16):
        for column in range(16):
            x, y = (column + 0.5 * (row % 2)) * cell, row * cell
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=230)
    return image


def _stars(image: Image.Image, rng: random.Random) -> Image.Image:
    _dots(image, rng, 75, 0.0022, 0.0048)
    return image


_PATTERNS: dict[str, Callable[[Image.Image, random.Random], Image.Image]] = {
    "grain": _grain,
    "clouds": _clouds,
    "wisps": _wisps,
    "blades": _blades,
    "tufts": _blades,
    "waves": _waves,
    "ripples": _ripples,
    "sparkle": _sparkle,
    "pebbles": _pebbles,
    "drifts": _drifts,
    "bricks": _bricks,
    "patches": _patches,
    "planks": _planks,
    "boards": _boards,
    "tiles": _tiles,
    "checker": _checker,
    "stripes": _stripes,
    "spots": _spots,
    "stars": _stars,
}
