"""Pen that draws the parts of things into an image and its mask."""

import math
from collections.abc import Sequence
from typing import Literal

from PIL import Image, ImageDraw

Color = tuple[int, int, int] | tuple[int, int, int, int]
"""Red, green, blue and optionally opacity, 0 to 255."""
RGB = tuple[int, int, int]
Point = tuple[float, float]
Light = Literal["day", "dusk", "night"]

_CIRCLE = [(math.cos(i * math.tau / 28), math.sin(i * math.tau / 28)) for i in range(28)]
_DIM: dict[Light, tuple[RGB, float]] = {
    "day": ((0, 0, 0), 0.0),
    "dusk": ((150, 84, 96), 0.2),
    "night": ((26, 26, 70), 0.4),
}
"""Color that all others are mixed with, and its weight."""


def shade(color: RGB, by: float) -> RGB:
    """A darker color (`by` down to -1: black) or a lighter one (up to 1: white)."""
    red, green, blue = color
    if by < 0:
        keep = 1 + by
        return int(red * keep), int(green * keep), int(blue * keep)
    return (
        int(red + (255 - red) * by),
        int(green + (255 - green) * by),
        int(blue + (255 - blue) * by),
    )


def mix(first: RGB, second: RGB, weight: float) -> RGB:
    """Mixture of two colors; `weight` is that of the second, 0 to 1."""
    return (
        int(first[0] + (second[0] - first[0]) * weight),
        int(first[1] + (second[1] - first[1]) * weight),
        int(first[2] + (second[2] - first[2]) * weight),
    )


def lit(color: RGB, light: Light) -> RGB:
    """Color by day, at dusk or at night."""
    tint, weight = _DIM[light]
    return mix(color, tint, weight) if weight else color


class Pen:
    """Draws one thing at a time, in coordinates of the thing, into the image and the mask.

    The foot of the thing is (0, 0), v points up, and its height is 1. Details lie on other parts
    and are not drawn into the mask.
    """

    def __init__(self, image: Image.Image, mask: Image.Image, light: Light) -> None:
        self.light: Light = light
        self._side = image.width
        self._image = ImageDraw.Draw(image, "RGBA")
        self._mask = ImageDraw.Draw(mask)
        self.move_to(0, x=0.5, foot=1.0, height=1.0)

    def move_to(
        self,
        label: int,
        *,
        x: float,
        foot: float,
        height: float,
        flipped: bool = False,
        tilt: float = 0.0,
    ) -> None:
        """Begin the next thing; x, foot and height are fractions of the side, tilt in radians."""
        scale = height * self._side
        self._label = label
        self._scale = scale
        self._flip = -1.0 if flipped else 1.0
        self._cos, self._sin = scale * math.cos(tilt), scale * math.sin(tilt)
        # A tilted thing is rotated about its center.
        self._x = x * self._side - self._sin * 0.5
        self._y = foot * self._side - (scale - self._cos) * 0.5

    def polygon(
        self, points: Sequence[Point], color: Color, *, detail: bool = False, glows: bool = False
    ) -> None:
        """Fill an outline; a glowing one keeps its color at night."""
        x, y, cos, sin, flip = self._x, self._y, self._cos, self._sin, self._flip
        cos_u, sin_u = cos * flip, sin * flip
        pixels = [(x + cos_u * u + sin * v, y + sin_u * u - cos * v) for u, v in points]
        self._image.polygon(pixels, fill=color if glows else self._lit(color))
        if not detail:
            self._mask.polygon(pixels, fill=self._label)

    def ellipse(
        self,
        u: float,
        v: float,
        across: float,
        up: float,
        color: Color,
        *,
        detail: bool = False,
        glows: bool = False,
    ) -> None:
        """Fill an ellipse about (u, v) with these radii."""
        points = [(u + across * cos, v + up * sin) for cos, sin in _CIRCLE]
        self.polygon(points, color, detail=detail, glows=glows)

    def blob(self, u: float, v: float, across: float, up: float, color: RGB) -> None:
        """Fill an ellipse that is lighter towards the upper left."""
        left = -self._flip
        self.ellipse(u, v, across, up, shade(color, -0.14))
        self.ellipse(
            u + 0.12 * left * across, v + 0.12 * up, 0.84 * across, 0.84 * up, color, detail=True
        )
        self.ellipse(
            u + 0.34 * left * across,
            v + 0.38 * up,
            0.38 * across,
            0.34 * up,
            (255, 255, 255, 46),
            detail=True,
        )

    def box(
        self,
        left: float,
        bottom: float,
        right: float,
        top: float,
        color: Color,
        *,
        detail: bool = False,
        glows: bool = False,
    ) -> None:
        """Fill a rectangle."""
        corners = [(left, bottom), (right, bottom), (right, top), (left, top)]
        self.polygon(corners, color, detail=detail, glows=glows)

    def line(
        self, points: Sequence[Point], width: float, color: Color, *, detail: bool = False
    ) -> None:
        """Draw a line, at least one pixel wide."""
        x, y, cos, sin, flip = self._x, self._y, self._cos, self._sin, self._flip
        pixels = [(x + cos * flip * u + sin * v, y + sin * flip * u - cos * v) for u, v in points]
        pixels_wide = max(1, round(width * self._scale))
        self._image.line(pixels, fill=self._lit(color), width=pixels_wide, joint="curve")
        if not detail:
            self._mask.line(pixels, fill=self._label, width=pixels_wide, joint="curve")

    def _lit(self, color: Color) -> Color:
        if self.light == "day":
            return color
        red, green, blue = lit(color[:3], self.light)
        return (red, green, blue, color[3]) if len(color) == 4 else (red, green, blue)
