"""Man-made things."""

import random

from groupvit.storybook.colors import BRIGHT, NAMED, choose, vary
from groupvit.storybook.pen import RGB, Light, Pen, shade

GLASS: RGB = (176, 214, 232)
LIT: RGB = (255, 218, 120)
WOOD: RGB = (134, 92, 60)


def _pane(light: Light) -> tuple[RGB, bool]:
    """Color of a window, and whether it is lit."""
    return (GLASS, False) if light == "day" else (LIT, True)


def house(pen: Pen, rng: random.Random, ground: str) -> str:
    """A house with a door, windows and a pitched roof, perhaps with snow on it."""
    name, color = choose(rng, "red", "yellow", "white", "white", "blue", "pink", "brown", "orange")
    roof_names = ("red", "brown", "grey", "black") if name != "red" else ("brown", "grey", "black")
    _, roof = choose(rng, *roof_names)
    half, eaves = rng.uniform(0.42, 0.5), rng.uniform(0.5, 0.6)
    if rng.random() < 0.6:
        pen.box(half * 0.4, 0.6, half * 0.4 + 0.12, rng.uniform(0.92, 1.0), shade(roof, -0.2))
    pen.box(-half, 0.0, half, eaves + 0.02, color)
    pen.box(half * 0.45, 0.0, half, eaves, (0, 0, 0, 26), detail=True)
    over = half + 0.08
    ridge = rng.choice((0.0, 0.0, 0.22))
    outline = [(-over, eaves - 0.02), (over, eaves - 0.02), (ridge, 1.0), (-ridge, 1.0)]
    pen.polygon(outline, (240, 244, 250) if ground == "snow" and rng.random() < 0.5 else roof)
    pen.box(-over, eaves - 0.04, over, eaves + 0.01, shade(roof, -0.25), detail=True)
    _, door = choose(rng, "brown", "green", "blue", "red")
    at = rng.choice((-0.22, 0.0, 0.2)) * half * 2
    pen.box(at - 0.085, 0.0, at + 0.085, 0.34, shade(door, -0.2), detail=True)
    pen.ellipse(at + 0.05, 0.16, 0.018, 0.018, (250, 220, 120), detail=True)
    _windows(pen, (-0.26, 0.0, 0.26), at, eaves)
    return name


def _windows(pen: Pen, places: tuple[float, ...], door: float, eaves: float) -> None:
    pane, lit = _pane(pen.light)
    for u in places:
        if abs(u - door) > 0.2:
            low, high = eaves - 0.3, eaves - 0.12
            pen.box(u - 0.1, low - 0.02, u + 0.1, high + 0.02, (250, 248, 240), detail=True)
            pen.box(u - 0.08, low, u + 0.08, high, pane, detail=True, glows=lit)
            pen.box(u - 0.01, low, u + 0.01, high, (250, 248, 240), detail=True)


def car(pen: Pen, rng: random.Random, ground: str) -> str:
    """A car or a small van from the side."""
    del ground
    name, color = choose(rng, *BRIGHT, "black", "grey", "red", "blue")
    pane, _ = _pane("day")
    if rng.random() < 0.25:
        body = [(-0.95, 0.18), (0.95, 0.18), (0.95, 0.5), (0.78, 0.56), (0.56, 1.0), (-0.95, 1.0)]
        panes = [(-0.8, -0.4), (-0.3, 0.1), (0.2, 0.5)]
    else:
        body = [(-0.98, 0.18), (0.98, 0.18), (0.97, 0.46), (0.6, 0.58), (0.28, 1.0)]
        body += [(-0.44, 1.0), (-0.72, 0.62), (-0.98, 0.54)]
        panes = [(-0.42, -0.1), (-0.02, 0.24)]
    pen.polygon(body, color)
    for left, right in panes:
        slope = 0.16 if right == panes[-1][1] else 0.0
        back = 0.16 if left == panes[0][0] and len(panes) == 2 else 0.0
        corners = [(left - back, 0.62), (right + slope, 0.62), (right, 0.9), (left, 0.9)]
        pen.polygon(corners, pane, detail=True)
    pen.box(-0.96, 0.18, 0.96, 0.3, (0, 0, 0, 50), detail=True)
    pen.ellipse(0.91, 0.44, 0.06, 0.07, (255, 240, 170), detail=True, glows=True)
    pen.ellipse(-0.94, 0.46, 0.04, 0.06, (220, 50, 40), detail=True)
    for u in (-0.55, 0.55):
        pen.ellipse(u, 0.2, 0.2, 0.2, (44, 44, 50))
        pen.ellipse(u, 0.2, 0.1, 0.1, (190, 192, 198), detail=True)
    return name


def boat(pen: Pen, rng: random.Random, ground: str) -> str:
    """A sailing boat or a little steamer."""
    del ground
    name, color = choose(rng, *BRIGHT, "brown", "brown", "white", "red")
    if rng.random() < 0.35:
        return _steamer(pen, rng, name, color)
    _, sail = choose(rng, "white", "white", "white", "red", "yellow", "orange", "blue")
    pen.line([(0.0, 0.2), (0.0, 1.0)], 0.035, WOOD)
    wide = rng.uniform(0.38, 0.46)
    pen.polygon([(0.04, 0.3), (wide, 0.32), (0.04, 0.97)], sail)
    pen.polygon([(-0.04, 0.3), (-wide * 0.8, 0.32), (-0.04, 0.86)], shade(sail, -0.12))
    if rng.random() < 0.4:
        pen.polygon([(0.04, 0.48), (0.33, 0.49), (0.26, 0.6), (0.04, 0.6)], color, detail=True)
    _hull(pen, color)
    return name


def _hull(pen: Pen, color: RGB) -> None:
    pen.polygon([(-0.5, 0.26), (0.54, 0.26), (0.36, 0.0), (-0.34, 0.0)], color)
    pen.polygon(
        [(-0.42, 0.12), (0.45, 0.12), (0.36, 0.0), (-0.34, 0.0)], (0, 0, 0, 50), detail=True
    )
    pen.polygon(
        [(-0.5, 0.26), (0.54, 0.26), (0.52, 0.22), (-0.47, 0.22)], (255, 255, 255, 110), detail=True
    )


def _steamer(pen: Pen, rng: random.Random, name: str, color: RGB) -> str:
    _, funnel = choose(rng, "red", "black", "yellow", "orange")
    pen.box(0.02, 0.5, 0.18, 0.9, funnel)
    pen.box(0.02, 0.8, 0.18, 0.86, (250, 250, 250), detail=True)
    pen.box(-0.28, 0.26, 0.3, 0.56, (246, 244, 238))
    pen.box(-0.32, 0.53, 0.34, 0.58, shade(color, -0.2))
    pane, lit = _pane(pen.light)
    for u in (-0.16, 0.02, 0.2):
        pen.ellipse(u, 0.41, 0.055, 0.055, pane, detail=True, glows=lit)
    _hull(pen, color)
    return name


def balloon(pen: Pen, rng: random.Random, ground: str) -> str:
    """A toy balloon on a string or, outdoors, a hot-air balloon with its basket."""
    name, color = choose(rng, *BRIGHT, "red", "red", "blue")
    if ground not in ("wall", "floor") and rng.random() < 0.5:
        return _airship(pen, rng, name, color)
    bend = rng.uniform(-0.06, 0.06)
    string = [(0.0, 0.4), (bend, 0.28), (-bend, 0.14), (bend * 0.5, 0.0)]
    pen.line(string, 0.026, (120, 112, 112))
    pen.polygon([(-0.05, 0.34), (0.05, 0.34), (0.0, 0.42)], shade(color, -0.3))
    pen.polygon([(-0.2, 0.52), (0.2, 0.52), (0.0, 0.37)], shade(color, -0.14))
    pen.blob(0.0, 0.7, 0.27, 0.3, color)
    return name


def _airship(pen: Pen, rng: random.Random, name: str, color: RGB) -> str:
    _, stripe = choose(
        rng, *(other for other in ("white", "yellow", "red", "blue") if other != name)
    )
    for u in (-0.1, 0.1):
        pen.line([(u * 1.6, 0.36), (u, 0.16)], 0.016, (100, 80, 60))
    pen.box(-0.11, 0.0, 0.11, 0.16, (158, 112, 66))
    pen.box(-0.12, 0.12, 0.12, 0.17, (124, 84, 50), detail=True)
    pen.polygon([(-0.33, 0.56), (0.33, 0.56), (0.13, 0.28), (-0.13, 0.28)], shade(color, -0.1))
    pen.ellipse(0.0, 0.66, 0.37, 0.34, shade(color, -0.08))
    for across in (0.25, 0.09):
        pen.ellipse(0.0, 0.66, across, 0.34, stripe if across > 0.1 else color, detail=True)
        if across > 0.1:
            pen.ellipse(0.0, 0.66, 0.17, 0.34, color, detail=True)
            pen.ellipse(0.0, 0.66, 0.13, 0.34, stripe, detail=True)
    pen.ellipse(-0.14, 0.8, 0.12, 0.1, (255, 255, 255, 60), detail=True)
    return name


def chair(pen: Pen, rng: random.Random, ground: str) -> str:
    """A chair, a little from above; its back is barred or padded."""
    del ground
    name, color = choose(rng, "brown", "brown", "red", "blue", "green", "white", "yellow", "pink")
    dark = shade(color, -0.25)
    seat = rng.uniform(0.4, 0.46)
    pen.box(-0.16, 0.1, -0.1, seat, shade(color, -0.4))
    pen.box(0.28, 0.1, 0.34, seat, shade(color, -0.4))
    if rng.random() < 0.5:
        for u in (-0.3, -0.1, 0.1, 0.25):
            pen.box(u, seat, u + 0.07, 0.96, dark)
        pen.box(-0.3, 0.86, 0.32, 1.0, color)
        pen.box(-0.28, 0.64, 0.3, 0.71, color)
    else:
        pen.box(-0.3, seat, 0.32, 0.98, dark)
        pen.box(-0.25, seat + 0.08, 0.27, 0.93, shade(color, 0.12), detail=True)
    pen.polygon(
        [(-0.38, seat - 0.08), (0.28, seat - 0.08), (0.38, seat + 0.06), (-0.28, seat + 0.06)],
        color,
    )
    pen.box(-0.38, seat - 0.14, 0.28, seat - 0.08, dark)
    for u in (-0.37, 0.2):
        pen.box(u, 0.0, u + 0.075, seat - 0.12, color)
    return name


def lamp(pen: Pen, rng: random.Random, ground: str) -> str:
    """A standing lamp with a shade; outdoors a lantern on a post."""
    name, color = choose(rng, "yellow", "red", "blue", "green", "white", "orange", "pink")
    if ground not in ("wall", "floor"):
        return _lantern(pen, rng)
    _, foot = choose(rng, "brown", "black", "golden", "grey")
    pen.box(-0.025, 0.04, 0.025, 0.66, foot)
    pen.ellipse(0.0, 0.045, 0.17, 0.045, shade(foot, -0.15))
    if rng.random() < 0.5:
        pen.ellipse(0.0, 0.26, 0.1, 0.15, foot)
    wide, narrow = rng.uniform(0.27, 0.32), rng.uniform(0.12, 0.2)
    glow = shade(color, 0.25)
    pen.polygon([(-wide, 0.6), (wide, 0.6), (narrow, 1.0), (-narrow, 1.0)], glow, glows=True)
    soft = [(-wide * 0.5, 0.6), (wide * 0.2, 0.6), (narrow * 0.2, 1.0), (-narrow * 0.5, 1.0)]
    pen.polygon(soft, (255, 252, 220, 110), detail=True, glows=True)
    pen.box(-wide, 0.59, wide, 0.63, shade(color, -0.2), detail=True)
    return name


def _lantern(pen: Pen, rng: random.Random) -> str:
    name = rng.choice(("black", "grey", "green"))
    iron = shade(vary(rng, NAMED[name], 6), -0.25)
    pen.box(-0.035, 0.0, 0.035, 0.66, iron)
    pen.box(-0.09, 0.0, 0.09, 0.07, iron)
    pen.box(-0.055, 0.36, 0.055, 0.4, iron)
    lit = pen.light != "day"
    glass = LIT if lit else (250, 240, 200)
    if lit:
        pen.ellipse(0.0, 0.78, 0.3, 0.3, (255, 224, 130, 50), detail=True, glows=True)
    pen.polygon([(-0.1, 0.64), (0.1, 0.64), (0.17, 0.88), (-0.17, 0.88)], glass, glows=lit)
    pen.polygon([(-0.2, 0.88), (0.2, 0.88), (0.05, 1.0), (-0.05, 1.0)], iron)
    for u in (-1.0, 0.0, 1.0):
        pen.line([(u * 0.1, 0.64), (u * 0.17, 0.88)], 0.026, iron)
    pen.box(-0.12, 0.62, 0.12, 0.66, iron)
    return name
