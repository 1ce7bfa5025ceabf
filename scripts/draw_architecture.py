"""Draws docs/images/architecture.svg: the layers of pyproject.toml with the packages' purposes.

python scripts/draw_architecture.py
"""

import re
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE, OUT = ROOT / "docs/architecture.md", ROOT / "docs/images/architecture.svg"
WIDTH, HEIGHT, GAP, MARGIN = 920, 40, 8, 12
"""Width of the drawing; height of a layer, space between boxes, and margin [px]."""
STYLE = """
text { font-family: system-ui, sans-serif; text-anchor: middle; fill: #1a202c }
.name { font-size: 14px; font-weight: 600 }
.purpose { font-size: 10.5px; fill: #4a5568 }
rect { stroke: #2b6cb0; fill: #ebf4fc }
.back { stroke: none; fill: #ffffff }
"""


def layers() -> list[list[str]]:
    """Names of the packages in each layer of the import contract, the highest layer first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (contract,) = (one for one in contracts if one["type"] == "layers")
    return [layer.split(" | ") for layer in contract["layers"] if layer != "__main__"]


def purposes() -> dict[str, str]:
    """Short purpose of each package, from the table in docs/architecture.md."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    return {name: purpose.strip().replace("`", "") for name, purpose in rows}


def box(name: str, purpose: str, left: float, top: float, width: float) -> str:
    """Box of a package, with its name and purpose."""
    middle = left + width / 2
    return (
        f'<rect x="{left:.0f}" y="{top}" width="{width:.0f}" height="{HEIGHT}" rx="5"/>'
        f'<text class="name" x="{middle:.0f}" y="{top + 17}">{name}</text>'
        f'<text class="purpose" x="{middle:.0f}" y="{top + 32}">{escape(purpose)}</text>'
    )


def drawing() -> str:
    """SVG: a row of boxes for each layer; a package imports only from the rows below its own."""
    known, rows, boxes = purposes(), layers(), []
    for number, names in enumerate(rows):
        top = MARGIN + number * (HEIGHT + GAP)
        width = (WIDTH - 2 * MARGIN - GAP * (len(names) - 1)) / len(names)
        for place, name in enumerate(names):
            boxes.append(box(name, known[name], MARGIN + place * (width + GAP), top, width))
    height = 2 * MARGIN + len(rows) * (HEIGHT + GAP) - GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>Layers of the package groupvit, the highest first</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="back" width="{WIDTH}" height="{height}"/>',
    )
    return "\n".join([*head, *boxes, "</svg>\n"])


if __name__ == "__main__":
    OUT.write_text(drawing(), "utf-8")
