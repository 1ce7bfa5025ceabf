"""A whole page as one file."""

import base64
import html
import io
from collections.abc import Iterable
from importlib.resources import files

from PIL import Image

COLORS = 256
"""Of an image in a page: a third of the bytes, and no difference to be seen."""


def document(title: str, *, header: str, main: str, skip: tuple[str, str] | None = None) -> str:
    """The page as text.

    Args:
        title: What the browser calls it.
        header: HTML of its head, with the h1.
        main: HTML of its sections.
        skip: For those who read by keyboard, a place in the page (its id) to go to at once, and
            what the link says.
    """
    style = files("groupvit").joinpath("pages/page.css").read_text(encoding="utf-8")
    link = f'<a class="skip" href="#{skip[0]}">{text(skip[1])}</a>\n' if skip else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{text(title)}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
{link}<header>
{header}
</header>
<main>
{main}
</main>
</body>
</html>
"""


def section(name: str, title: str, parts: Iterable[str]) -> str:
    """A part of the page under a title; `name` is its id."""
    inside = "\n".join(parts)
    return f"""<section aria-labeledby="{name}">
<h2 id="{name}" tabindex="-1">{text(title)}</h2>
{inside}
</section>"""


def text(words: str) -> str:
    """Words that can do no harm in HTML."""
    return html.escape(words)


def data(image: Image.Image) -> str:
    """The image as a PNG inside an address."""
    file = io.BytesIO()
    image.convert("RGB").quantize(COLORS).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
