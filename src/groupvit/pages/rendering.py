"""Rendering of pages: each is one HTML file, with its style and images inside.

The templates are jinja2's and lie beside the code that uses them. Values are escaped, and a name
that a template does not get is an error.
"""

import base64
import io
from collections.abc import Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

COLORS = 256
"""Number of colors of an image in a page: a third of the bytes, without a visible difference."""


def render(template: str, **values: object) -> str:
    """HTML of a page.

    Args:
        template: Path of a template in the package, such as `demo/page.html`.
        values: Variables of the template.
    """
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("groupvit", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"css": _css, "data_url": _data_url, "percent": _percent}
    return environment


def _css(rgb: Sequence[int]) -> str:
    """Color as CSS has it: `#ff8000`."""
    return "#" + bytes(rgb).hex()


def _data_url(image: Image.Image) -> str:
    """PNG of an image as a data URL."""
    file = io.BytesIO()
    image.convert("RGB").quantize(COLORS).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _percent(fraction: float, digits: int = 1) -> str:
    """Fraction in percent, with a space that does not break."""
    return f"{100 * fraction:.{digits}f}\u00a0%"
