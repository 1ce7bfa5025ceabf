"""Drawn aerial images with captions and masks: a domain of one's own, to try a training on.

    python examples/aerial.py data/aerial --num 2000 --test 100
    groupvit pack data/aerial/images --out data/aerial/pairs
    groupvit train --recipe photos --data.shards data/aerial/pairs/*.tar \
        --evaluate-folder data/aerial/test --domain "drawn aerial images" --out runs/aerial

An image shows fields of several crops, and in many a wood, a lake or a river, a road and some
houses. Captions name a random part of what is visible, as people do.
"""

import argparse
import math
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("field", "forest", "water", "road", "house")
FIELD, FOREST, WATER, ROAD, HOUSE = range(len(CLASSES))
SIDE = 160
"""Height and width of images [pixels]."""
CROPS = ((120, 150, 70), (172, 160, 92), (140, 116, 80), (96, 132, 64), (190, 176, 120))
PHRASES = {
    FIELD: ("fields", "a field", "some fields", "green fields"),
    FOREST: ("a forest", "a dark forest", "trees of a forest"),
    WATER: ("water", "blue water", "the water of a lake"),
    ROAD: ("a road", "a gray road", "a long road"),
    HOUSE: ("houses", "some houses", "a few houses", "a house"),
}
OPENINGS = ("", "", "an aerial image of ", "a view from above of ", "seen from above: ")


class Canvas:
    """Image and mask that shapes are painted into, with a grain of their own."""

    def __init__(self, rng: random.Random) -> None:
        self.image = Image.new("RGB", (SIDE, SIDE))
        self.mask = Image.new("L", (SIDE, SIDE))
        self._noise = np.random.default_rng(rng.getrandbits(32))

    def paint(self, shape: Image.Image, label: int, color: tuple[int, ...], grain: float) -> None:
        """Fill a shape; `grain` is the deviation of its brightness."""
        texture = self._noise.normal(0, grain, (SIDE, SIDE, 1)) + np.array(color)
        filled = Image.fromarray(texture.clip(0, 255).astype(np.uint8))
        self.image.paste(filled, (0, 0), shape)
        self.mask.paste(label, (0, 0), shape)


def polygon(points: list[tuple[float, float]]) -> Image.Image:
    """Shape of a polygon."""
    shape = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(shape).polygon(points, fill=255)
    return shape


def blob(rng: random.Random, radius: float) -> Image.Image:
    """Round shape with an uneven edge."""
    x, y, waves = rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.uniform(0, 6)
    angles = [step * math.tau / 40 for step in range(40)]
    lengths = [radius * (1 + 0.22 * math.sin(3 * a + waves) + rng.uniform(0, 0.1)) for a in angles]
    return polygon(
        [(x + r * math.cos(a), y + r * math.sin(a)) for a, r in zip(angles, lengths, strict=True)]
    )


def band(rng: random.Random, width: float, bend: float) -> Image.Image:
    """Band across the image, such as a road or a river."""
    start, end, phase = rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.uniform(0, 6)
    line = [
        (x, start + (end - start) * x / SIDE + bend * math.sin(phase + x / 25))
        for x in range(-10, SIDE + 20, 10)
    ]
    shape = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(shape).line(line, fill=255, width=round(width), joint="curve")
    return shape.transpose(Image.Transpose.TRANSPOSE) if rng.random() < 0.5 else shape


def draw_fields(canvas: Canvas, rng: random.Random) -> None:
    """Cover the image with fields, whose furrows run in different directions."""
    rows, columns = np.indices((SIDE, SIDE))
    cuts = sorted(rng.uniform(20, SIDE - 20) for _ in range(rng.randint(1, 3)))
    edges = [0.0, *cuts, float(SIDE)]
    for low, high in pairwise(edges):
        middle = rng.uniform(0.3, 0.7) * SIDE
        for left, right in ((0.0, middle), (middle, float(SIDE))):
            box = polygon([(left, low), (right, low), (right, high), (left, high)])
            canvas.paint(box, FIELD, rng.choice(CROPS), 4)
            angle, period = rng.uniform(0, math.pi), rng.uniform(4, 8)
            across = (columns * math.cos(angle) + rows * math.sin(angle)) % period < period / 3
            furrows = Image.fromarray(np.where(across, 40, 0).astype(np.uint8))
            inside = Image.composite(furrows, Image.new("L", (SIDE, SIDE)), box)
            canvas.image.paste((60, 50, 30), (0, 0), inside)


def draw_houses(canvas: Canvas, rng: random.Random) -> None:
    """A group of houses with shadows."""
    x, y = rng.uniform(30, SIDE - 30), rng.uniform(30, SIDE - 30)
    for _ in range(rng.randint(4, 9)):
        left, top = x + rng.uniform(-38, 38), y + rng.uniform(-38, 38)
        wide, high = rng.uniform(12, 22), rng.uniform(12, 22)
        corners = [(left, top), (left + wide, top), (left + wide, top + high), (left, top + high)]
        shadow = polygon([(u + 3, v + 3) for u, v in corners])
        canvas.image.paste((40, 40, 40), (0, 0), shadow)
        roof = rng.choice(((176, 84, 66), (150, 150, 156), (202, 196, 188)))
        canvas.paint(polygon(corners), HOUSE, roof, 3)
        ridge = [corners[0], corners[1], (left + wide, top + high / 2), (left, top + high / 2)]
        canvas.paint(polygon(ridge), HOUSE, tuple(int(0.8 * value) for value in roof), 3)


def draw(rng: random.Random) -> Canvas:
    """A random image with its mask."""
    canvas = Canvas(rng)
    draw_fields(canvas, rng)
    for _ in range(rng.choice((0, 1, 1, 2))):
        canvas.paint(blob(rng, rng.uniform(28, 62)), FOREST, (44, 74, 42), 17)
    if rng.random() < 0.5:
        is_lake = rng.random() < 0.5
        shape = blob(rng, rng.uniform(26, 56)) if is_lake else band(rng, rng.uniform(18, 34), 14)
        canvas.paint(shape, WATER, (58, 92, 124), 3)
    if rng.random() < 0.55:
        canvas.paint(band(rng, rng.uniform(8, 13), 4), ROAD, (138, 136, 134), 3)
    if rng.random() < 0.5:
        draw_houses(canvas, rng)
    return canvas


def captions(mask: Image.Image, rng: random.Random, count: int = 3) -> list[str]:
    """Captions that each name about four fifths of the classes above 2 % of the image."""
    shares = np.bincount(np.asarray(mask).ravel(), minlength=len(CLASSES)) / SIDE**2
    visible = [label for label in range(len(CLASSES)) if shares[label] >= 0.02]
    found = []
    for _ in range(count):
        named = [label for label in visible if rng.random() < 0.8] or [rng.choice(visible)]
        rng.shuffle(named)
        found.append(rng.choice(OPENINGS) + " and ".join(rng.choice(PHRASES[x]) for x in named))
    return found


def write(out: Path, num: int, num_test: int, seed: int) -> None:
    """Write images/ with a text file of captions beside each image, and test/ with masks."""
    for folder in ("images", "test/images", "test/masks"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for index in range(num):
        rng = random.Random(f"aerial train {seed} {index}")
        canvas = draw(rng)
        canvas.image.save(out / f"images/{index:05d}.jpg", quality=90)
        text = "\n".join(captions(canvas.mask, rng))
        (out / f"images/{index:05d}.txt").write_text(text + "\n", encoding="utf-8")
    for index in range(num_test):
        canvas = draw(random.Random(f"aerial test {seed} {index}"))
        canvas.image.save(out / f"test/images/{index:05d}.jpg", quality=90)
        canvas.mask.save(out / f"test/masks/{index:05d}.png")
    (out / "test/classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--num", type=int, default=2000)
    parser.add_argument("--test", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    write(args.out, args.num, args.test, args.seed)
