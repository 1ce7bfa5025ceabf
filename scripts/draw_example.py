"""Draw examples/harbour.png, the example image.

python scripts/draw_example.py
"""

import math
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT, SCALE = 640, 480, 3
EXAMPLE = Path(__file__).parents[1] / "examples" / "harbour.png"


def points(*xy: float) -> list[tuple[float, float]]:
    """Pairs of pixels, enlarged for smooth edges."""
    return [(x * SCALE, y * SCALE) for x, y in zip(xy[::2], xy[1::2], strict=True)]


def gradient(top: tuple[int, int, int], bottom: tuple[int, int, int]) -> Image.Image:
    """An image that goes from one color to another, downwards."""
    mix = np.linspace(0, 1, HEIGHT * SCALE)[:, None, None]
    rows = np.array(top) * (1 - mix) + np.array(bottom) * mix
    return Image.fromarray(np.repeat(rows, WIDTH * SCALE, axis=1).astype(np.uint8))


def sky_and_sea(draw: ImageDraw.ImageDraw, chance: random.Random) -> None:
    """Sun, clouds, waves and the beach."""
    draw.ellipse(points(470, 50, 540, 120), fill=(255, 214, 92))
    for x, y in ((90, 70), (250, 110), (400, 60)):
        for _ in range(9):
            dx, dy, r = chance.uniform(-45, 45), chance.uniform(-9, 9), chance.uniform(13, 25)
            draw.ellipse(points(x + dx - r, y + dy - r, x + dx + r, y + dy + r), fill="white")
    draw.rectangle(points(0, 240, WIDTH, HEIGHT), fill=(38, 118, 170))
    for _ in range(150):
        x, y = chance.uniform(0, WIDTH), chance.uniform(246, 375)
        length = 4 + (y - 240) / 5
        draw.line(points(x, y, x + length, y), fill=(93, 166, 208), width=2 * SCALE)
    shore = [(x, 372 + 14 * math.sin(x / 75)) for x in range(0, WIDTH + 5, 5)]
    sand = [(0, HEIGHT), *shore, (WIDTH, HEIGHT)]
    draw.polygon(points(*(value for point in sand for value in point)), fill=(232, 206, 148))


def boat(draw: ImageDraw.ImageDraw, x: float, y: float, size: float) -> None:
    """A boat with two sails."""
    s = size
    draw.polygon(points(x + 4, y - 96 * s, x + 62 * s, y - 8, x + 4, y - 8), fill=(250, 250, 245))
    draw.polygon(points(x - 4, y - 80 * s, x - 46 * s, y - 8, x - 4, y - 8), fill=(232, 90, 70))
    draw.line(points(x, y - 104 * s, x, y), fill=(84, 56, 40), width=4 * SCALE)
    hull = points(x - 62 * s, y, x + 72 * s, y, x + 50 * s, y + 26 * s, x - 44 * s, y + 26 * s)
    draw.polygon(hull, fill=(150, 52, 44))


def house(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
    """A house with a door and two windows."""
    draw.rectangle(points(x, y - 80, x + 110, y), fill=(240, 232, 214))
    draw.polygon(points(x - 12, y - 80, x + 55, y - 138, x + 122, y - 80), fill=(176, 74, 52))
    draw.rectangle(points(x + 44, y - 44, x + 68, y), fill=(98, 66, 46))
    for left in (14, 78):
        draw.rectangle(points(x + left, y - 60, x + left + 20, y - 38), fill=(120, 172, 204))


def tree(draw: ImageDraw.ImageDraw, x: float, y: float, chance: random.Random) -> None:
    """A tree with a round crown."""
    draw.rectangle(points(x - 8, y - 70, x + 8, y), fill=(106, 74, 48))
    for _ in range(26):
        angle, away = chance.uniform(0, 2 * math.pi), chance.uniform(0, 38)
        cx, cy = x + away * math.cos(angle), y - 105 + away * math.sin(angle)
        r, light = chance.uniform(14, 24), chance.randint(-16, 20)
        green = (52 + light, 122 + light, 58 + light)
        draw.ellipse(points(cx - r, cy - r, cx + r, cy + r), fill=green)


def main(out: Path = EXAMPLE) -> None:
    """Draw the harbour and save it."""
    chance = random.Random(4)
    image = gradient((112, 178, 230), (226, 240, 250))
    draw = ImageDraw.Draw(image)
    sky_and_sea(draw, chance)
    boat(draw, 205, 306, 1.0)
    boat(draw, 392, 262, 0.45)
    house(draw, 486, 428)
    tree(draw, 98, 452, chance)
    small = image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    soft = small.filter(ImageFilter.GaussianBlur(0.4))
    soft.save(out, optimize=True)


if __name__ == "__main__":
    main()
