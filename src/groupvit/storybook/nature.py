"""Natural things: plants, animals and objects in the sky."""

import math
import random

from groupvit.storybook.colors import BRIGHT, choose, vary
from groupvit.storybook.pen import RGB, Pen, Point, shade

BARK: RGB = (118, 82, 56)
LEAF: RGB = (86, 148, 72)


def tree(pen: Pen, rng: random.Random, ground: str) -> str:
    """A round tree, a fir or a palm."""
    if ground == "sand" and rng.random() < 0.65:
        return _palm(pen, rng)
    if rng.random() < (0.7 if ground == "snow" else 0.35):
        return _fir(pen, rng, snowy=ground == "snow")
    return _round_tree(pen, rng)


def _round_tree(pen: Pen, rng: random.Random) -> str:
    bark = vary(rng, BARK)
    name, color = choose(rng, "green", "green", "green", "orange", "yellow", "pink")
    color = shade(color, -0.2) if name == "green" else color
    trunk = [(-0.07, 0.0), (0.07, 0.0), (0.045, 0.2), (0.05, 0.5), (-0.05, 0.5), (-0.04, 0.2)]
    pen.polygon(trunk, bark)
    pen.box(0.0, 0.0, 0.05, 0.45, (0, 0, 0, 40), detail=True)
    middle, wide = rng.uniform(0.6, 0.66), rng.uniform(0.24, 0.3)
    puffs = [(-0.19, middle - 0.06), (0.19, middle - 0.05), (0.0, middle + 0.12), (0.0, middle)]
    for u, v in puffs:
        pen.ellipse(u + rng.uniform(-0.03, 0.03), v, wide * 0.82, wide * 0.8, shade(color, -0.16))
    for u, v in puffs:
        pen.ellipse(u - 0.03, v + 0.03, wide * 0.62, wide * 0.58, color, detail=True)
    pen.ellipse(-0.1, middle + 0.17, wide * 0.4, wide * 0.3, shade(color, 0.18), detail=True)
    if rng.random() < 0.25:
        for _ in range(7):
            u, v = rng.uniform(-0.24, 0.24), rng.uniform(middle - 0.12, middle + 0.2)
            pen.ellipse(u, v, 0.035, 0.035, (226, 66, 56), detail=True)
    return name


def _fir(pen: Pen, rng: random.Random, *, snowy: bool) -> str:
    color = vary(rng, (48, 112, 80))
    pen.box(-0.05, 0.0, 0.05, 0.16, vary(rng, BARK))
    wide = rng.uniform(0.3, 0.38)
    for level, (low, high) in enumerate(((0.1, 0.52), (0.34, 0.76), (0.58, 1.0))):
        half = wide * (1.0, 0.8, 0.58)[level]
        pen.polygon([(-half, low), (0.0, low - 0.03), (half, low), (0.0, high)], color)
        right = [(0.0, low - 0.03), (half, low), (0.0, high)]
        pen.polygon(right, (0, 20, 40, 44), detail=True)
        if snowy:
            third = half * 0.42
            top = high - (high - low) * 0.42
            cap = [(-third, top), (-third * 0.3, top + 0.04), (third * 0.4, top), (0.0, high)]
            pen.polygon(cap, (244, 248, 252), detail=True)
    return "green"


def _palm(pen: Pen, rng: random.Random) -> str:
    bend = rng.uniform(0.02, 0.16)
    bark, color = vary(rng, (158, 118, 76)), vary(rng, (70, 146, 76))
    left = [(-0.05 + bend * t * t, 0.8 * t) for t in (0.0, 0.25, 0.5, 0.75, 1.0)]
    right = [(0.05 - 0.025 * t + bend * t * t, 0.8 * t) for t in (1.0, 0.75, 0.5, 0.25, 0.0)]
    pen.polygon(left + right, bark)
    for t in (0.2, 0.36, 0.52, 0.68):
        u = bend * t * t
        pen.line([(u - 0.04, 0.8 * t), (u + 0.04, 0.8 * t)], 0.012, (90, 60, 36), detail=True)
    for turn in (-0.55, -0.1, 0.35, 0.9, 1.57, 2.24, 2.8, 3.25, 3.7):
        along, across = math.cos(turn), math.sin(turn)
        u, v, reach = bend, 0.79, rng.uniform(0.32, 0.38)
        tip = (u + along * reach, v + across * reach * 0.55 - 0.1 * abs(along))
        over = (u + along * reach * 0.55, v + across * reach * 0.45 + 0.09)
        under = (u + along * reach * 0.5, v + across * reach * 0.4 - 0.01)
        pen.polygon([(u, v), over, tip, under], shade(color, rng.uniform(-0.25, 0.12)))
    for u in (-0.04, 0.04):
        pen.ellipse(bend + u, 0.75, 0.035, 0.035, (110, 70, 44), detail=True)
    return "green"


def flower(pen: Pen, rng: random.Random, ground: str) -> str:
    """A daisy or a tulip; on a floor or a shelf in a pot."""
    name, color = choose(rng, *BRIGHT)
    stem = vary(rng, (84, 150, 70))
    bottom = 0.0
    if ground in ("floor", "wall"):
        bottom = 0.24
        _, clay = choose(rng, "orange", "blue", "white", "brown")
        pen.polygon([(-0.12, 0.0), (0.12, 0.0), (0.17, 0.24), (-0.17, 0.24)], clay)
        pen.box(-0.18, 0.21, 0.18, 0.28, shade(clay, -0.15))
    pen.line([(0.0, bottom), (0.02, 0.45), (0.0, 0.7)], 0.05, stem)
    for side, v in ((-1.0, bottom + 0.1), (1.0, bottom + 0.18)):
        leaf = [(0.0, v), (side * 0.12, v + 0.12), (side * 0.26, v + 0.14), (side * 0.14, v + 0.02)]
        pen.polygon(leaf, shade(stem, -0.1 * side))
    if rng.random() < 0.3:
        _tulip(pen, color)
    else:
        _daisy(pen, rng, color, name)
    return name


def _tulip(pen: Pen, color: RGB) -> None:
    cup = [(-0.15, 0.74), (-0.08, 0.62), (0.08, 0.62), (0.15, 0.74), (0.17, 0.98), (0.08, 0.86)]
    pen.polygon([*cup, (0.0, 1.0), (-0.08, 0.86), (-0.17, 0.98)], color)
    petal = [(-0.07, 0.64), (0.07, 0.64), (0.08, 0.84), (0.0, 0.99), (-0.08, 0.84)]
    pen.polygon(petal, shade(color, -0.16), detail=True)


def _daisy(pen: Pen, rng: random.Random, color: RGB, name: str) -> None:
    petals, turn = rng.choice((5, 6, 8)), rng.random()
    long, wide = 0.152, 0.98 / petals + 0.02
    for petal in range(petals):
        angle = (petal + turn) * math.tau / petals
        cos, sin = math.cos(angle), math.sin(angle)
        outline = [
            (cos * along - sin * across, 0.74 + sin * along + cos * across)
            for along, across in _petal(long, wide)
        ]
        pen.polygon(outline, shade(color, -0.12 * (petal % 2)))
    center = (112, 72, 44) if name in ("yellow", "orange") else (250, 206, 70)
    pen.ellipse(0.0, 0.74, 0.085, 0.085, vary(rng, center))
    pen.ellipse(-0.02, 0.76, 0.035, 0.035, (255, 255, 255, 90), detail=True)


def _petal(long: float, wide: float) -> list[Point]:
    half = wide / 2
    side = [(0.0, 0.0), (0.5, 0.7), (0.9, 1.0), (1.3, 0.95), (1.58, 0.6), (1.7, 0.0)]
    there = [(long * along, -half * across) for along, across in side]
    back = [(long * along, half * across) for along, across in side[-2:0:-1]]
    return there + back


def apple(pen: Pen, rng: random.Random, ground: str) -> str:
    """An apple with its stalk and a leaf."""
    del ground
    name, color = choose(rng, "red", "red", "green", "yellow")
    pen.blob(-0.16, 0.42, 0.32, 0.4, shade(color, -0.04))
    pen.ellipse(0.18, 0.42, 0.3, 0.4, shade(color, -0.1))
    pen.ellipse(0.1, 0.44, 0.3, 0.35, color, detail=True)
    pen.ellipse(-0.26, 0.56, 0.1, 0.15, (255, 255, 255, 90), detail=True)
    if name != "red":
        pen.ellipse(0.24, 0.4, 0.16, 0.24, (220, 80, 50, 80), detail=True)
    pen.ellipse(0.0, 0.77, 0.12, 0.04, shade(color, -0.4), detail=True)
    pen.line([(0.0, 0.76), (0.02, 0.88), (0.06, 0.98)], 0.06, (104, 70, 44))
    leaf = [(0.03, 0.84), (0.14, 0.98), (0.32, 0.97), (0.2, 0.84)]
    pen.polygon(leaf, vary(rng, LEAF))
    return name


def mushroom(pen: Pen, rng: random.Random, ground: str) -> str:
    """A mushroom with a domed or a flat cap, with or without dots."""
    del ground
    name, color = choose(rng, "red", "red", "brown", "orange", "white", "purple")
    pale = vary(rng, (240, 230, 208), 8)
    foot = rng.uniform(0.14, 0.2)
    pen.polygon(
        [(-foot, 0.0), (foot, 0.0), (0.1, 0.3), (0.12, 0.55), (-0.12, 0.55), (-0.1, 0.3)], pale
    )
    pen.polygon(
        [(0.02, 0.0), (foot, 0.0), (0.1, 0.3), (0.12, 0.55), (0.05, 0.55)],
        (90, 60, 30, 50),
        detail=True,
    )
    low, wide, high = 0.48, rng.uniform(0.44, 0.52), rng.uniform(0.4, 0.52)
    dome = [
        (wide * math.cos(i * math.pi / 14), low + high * math.sin(i * math.pi / 14) ** 0.8)
        for i in range(15)
    ]
    pen.ellipse(0.0, low, wide, 0.09, shade(pale, -0.2))
    pen.polygon(dome, color)
    pen.ellipse(-0.16, low + high * 0.6, wide * 0.4, high * 0.25, (255, 255, 255, 60), detail=True)
    if name != "brown" and rng.random() < 0.8:
        dot = (250, 244, 232) if name != "white" else (190, 150, 110)
        for u, v, radius in (
            (-0.26, 0.3, 0.06),
            (0.02, 0.62, 0.08),
            (0.24, 0.36, 0.07),
            (0.0, 0.2, 0.05),
        ):
            pen.ellipse(u, low + v * high, radius, radius * 0.9, dot, detail=True)
    return name


def fish(pen: Pen, rng: random.Random, ground: str) -> str:
    """A fish with fins, perhaps striped."""
    del ground
    name, color = choose(rng, "orange", "orange", "red", "yellow", "blue", "grey", "pink", "purple")
    dark = shade(color, -0.28)
    pen.polygon([(0.5, 0.5), (0.98, 0.98), (0.84, 0.5), (0.98, 0.04)], dark)
    pen.polygon([(-0.2, 0.8), (0.1, 1.0), (0.36, 0.92), (0.4, 0.7)], dark)
    pen.polygon([(0.0, 0.2), (0.2, 0.02), (0.3, 0.24)], dark)
    pen.ellipse(-0.14, 0.5, 0.8, 0.37, color)
    pen.ellipse(-0.16, 0.36, 0.62, 0.18, (255, 250, 230, 90), detail=True)
    if rng.random() < 0.5:
        stripe = (250, 246, 236) if name != "grey" else (90, 92, 110)
        for u, half in ((-0.32, 0.33), (0.0, 0.35), (0.3, 0.27)):
            bow = [(u, 0.5 + half), (u + 0.1, 0.5 + half), (u + 0.16, 0.5)]
            low = [(u + 0.1, 0.5 - half), (u, 0.5 - half), (u + 0.05, 0.5)]
            pen.polygon(bow + low, stripe, detail=True)
    pen.polygon([(-0.14, 0.5), (0.14, 0.34), (0.12, 0.56)], dark, detail=True)
    pen.ellipse(-0.62, 0.58, 0.1, 0.1, (255, 255, 255), detail=True)
    pen.ellipse(-0.64, 0.58, 0.05, 0.055, (20, 20, 30), detail=True)
    return name


def bird(pen: Pen, rng: random.Random, ground: str) -> str:
    """A flying or standing bird."""
    name, color = choose(rng, "blue", "red", "yellow", "grey", "brown", "white", "black")
    wing = shade(color, 0.25) if name == "black" else shade(color, -0.25)
    beak = (242, 166, 50)
    flies = ground == "sky" or (ground == "sea" and rng.random() < 0.6)
    if not flies and ground != "sea":
        pen.line([(-0.06, 0.3), (-0.08, 0.0)], 0.05, (206, 130, 50))
        pen.line([(0.1, 0.3), (0.1, 0.0)], 0.05, (206, 130, 50))
    pen.polygon([(0.3, 0.5), (0.72, 0.62), (0.76, 0.46), (0.4, 0.32)], wing)
    pen.ellipse(0.06, 0.46, 0.42, 0.27, color)
    pen.ellipse(0.0, 0.36, 0.3, 0.15, (255, 250, 236, 110), detail=True)
    pen.polygon([(-0.56, 0.72), (-0.78, 0.63), (-0.54, 0.6)], beak)
    pen.ellipse(-0.38, 0.68, 0.23, 0.22, color)
    if flies:
        up = rng.uniform(0.9, 1.0)
        pen.polygon([(-0.18, 0.52), (0.04, 0.82), (0.36, up), (0.42, 0.74), (0.3, 0.5)], wing)
        pen.polygon(
            [(-0.1, 0.56), (0.06, 0.76), (0.24, 0.8), (0.2, 0.56)], (255, 255, 255, 40), detail=True
        )
    else:
        pen.polygon([(-0.16, 0.56), (0.16, 0.64), (0.5, 0.46), (0.16, 0.3)], wing, detail=True)
    pen.ellipse(-0.44, 0.73, 0.055, 0.055, (255, 255, 255), detail=True)
    pen.ellipse(-0.45, 0.73, 0.032, 0.034, (16, 16, 22), detail=True)
    return name


def cloud(pen: Pen, rng: random.Random, ground: str) -> str:
    """A cloud of several puffs on a flat bottom."""
    del ground
    name = rng.choice(("white", "white", "white", "grey"))
    base = vary(rng, (248, 249, 252) if name == "white" else (176, 182, 194), 5)
    puffs = [(-0.62, 0.3, 0.3), (-0.22, 0.56, 0.42), (0.3, 0.5, 0.4), (0.68, 0.28, 0.28)]
    puffs = [
        (u + rng.uniform(-0.06, 0.06), v, radius * rng.uniform(0.9, 1.06)) for u, v, radius in puffs
    ]
    pen.box(-0.66, 0.0, 0.7, 0.34, shade(base, -0.1))
    for u, v, radius in puffs:
        pen.ellipse(u, v, radius, radius, shade(base, -0.1))
    for u, v, radius in puffs:
        pen.ellipse(u - 0.03, v + 0.06, radius * 0.86, radius * 0.84, base, detail=True)
    return name


def sun(pen: Pen, rng: random.Random, ground: str) -> str:
    """The sun, with or without rays."""
    del ground
    dusk = pen.light == "dusk"
    name, color = ("orange", (250, 132, 56)) if dusk else ("yellow", (254, 214, 72))
    color = vary(rng, color, 6)
    radius, rays = 0.46, rng.choice((0, 8, 10, 12))
    if rays:
        radius, turn = 0.31, rng.random()
        for ray in range(rays):
            middle, half = (ray + turn) * math.tau / rays, 0.16
            root = radius * 0.9
            points = [
                (math.cos(middle - half) * root, 0.5 + math.sin(middle - half) * root),
                (math.cos(middle) * 0.5, 0.5 + math.sin(middle) * 0.5),
                (math.cos(middle + half) * root, 0.5 + math.sin(middle + half) * root),
            ]
            pen.polygon(points, shade(color, -0.04), glows=True)
    else:
        pen.ellipse(0.0, 0.5, 0.62, 0.62, (*shade(color, 0.5), 70), detail=True, glows=True)
    pen.ellipse(0.0, 0.5, radius, radius, color, glows=True)
    pen.ellipse(
        -0.04, 0.54, radius * 0.72, radius * 0.72, shade(color, 0.3), detail=True, glows=True
    )
    return name


def moon(pen: Pen, rng: random.Random, ground: str) -> str:
    """A crescent, or the full moon with its craters."""
    del ground
    color = vary(rng, (244, 236, 200), 8)
    pen.ellipse(0.0, 0.5, 0.6, 0.6, (255, 250, 220, 18), detail=True, glows=True)
    if rng.random() < 0.5:
        steps = [math.pi * (0.5 + i / 14) for i in range(15)]
        outer = [(0.5 * math.cos(a) + 0.12, 0.5 + 0.5 * math.sin(a)) for a in steps]
        inner = [(0.24 * math.cos(a) + 0.12, 0.5 + 0.5 * math.sin(a)) for a in reversed(steps)]
        pen.polygon(outer + inner, color, glows=True)
        return "crescent"
    pen.ellipse(0.0, 0.5, 0.5, 0.5, color, glows=True)
    for u, v, radius in (
        (-0.18, 0.64, 0.11),
        (0.16, 0.42, 0.14),
        (-0.12, 0.28, 0.08),
        (0.2, 0.74, 0.07),
    ):
        pen.ellipse(u, v, radius, radius, shade(color, -0.13), detail=True, glows=True)
    return "full"
