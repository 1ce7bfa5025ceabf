"""Print the table of `groupvit.palette`: a dark gray, a hand-picked dozen, then far-off colors.

    python scripts/make_palette.py

The dozen was picked by eye and moved until any two of it, and the dark gray, lie 0.1 apart in OKLab
for normal sight as well as without red, green or blue cones. Every further color is the one of a
grid over sRGB that lies farthest from all before it.
"""

import sys

import numpy as np
from jaxtyping import Int, Shaped, UInt8

COUNT = 256
BACKGROUND = "26262a"
DOZEN = "f84e67 6d96ff eeda00 8126e0 00d6aa d36fb4 852c0e 7dfcff 3b488e d3ffad 309000 b8b8ff"

# https://bottosson.github.io/posts/oklab: linear sRGB to cones, cube root, cones to OKLab.
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def to_oklab(rgb: Shaped[np.ndarray, "count 3"]) -> Int[np.ndarray, "count 3"]:
    """Give OKLab in thousandths: whole numbers make the greedy choice the same everywhere."""
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    lab = np.cbrt(linear @ TO_CONES.T) @ TO_LAB.T
    return np.asarray(np.rint(1000 * lab), dtype=np.int64)


def candidates() -> UInt8[np.ndarray, "count 3"]:
    """Give a grid over sRGB without what is too dark, pale, gray or gaudy for an overlay."""
    steps = np.arange(0, 256, 15)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness, green_red, blue_yellow = to_oklab(grid).T
    chroma = np.hypot(green_red, blue_yellow)
    kept = (lightness > 430) & (lightness < 950) & (chroma > 50) & (chroma < 240)
    return np.asarray(grid[kept], dtype=np.uint8)


def make() -> UInt8[np.ndarray, "256 3"]:
    """Give the whole palette, RGB, 0 to 255."""
    picked = [list(bytes.fromhex(color)) for color in (BACKGROUND, *DOZEN.split())]
    grid = candidates()
    lab = to_oklab(grid)
    distance = np.full(len(grid), np.iinfo(np.int64).max)
    for color in to_oklab(np.array(picked)):
        distance = np.minimum(distance, ((lab - color) ** 2).sum(axis=1))
    while len(picked) < COUNT:
        farthest = distance.argmax()
        picked.append(list(grid[farthest]))
        distance = np.minimum(distance, ((lab - lab[farthest]) ** 2).sum(axis=1))
    return np.array(picked, dtype=np.uint8)


def main() -> None:
    """Write the palette in lines of sixteen colors."""
    for row in make().reshape(-1, 16, 3):
        sys.stdout.write(f'    "{row.tobytes().hex()}"\n')


if __name__ == "__main__":
    main()
