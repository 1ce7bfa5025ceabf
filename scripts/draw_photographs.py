"""Draw docs/images/photographs.jpg: photographs, their groups and labels by a model.

python scripts/draw_photographs.py [MODEL]    # photos, if none is given
"""

import sys
from pathlib import Path

from groupvit import Segmenter, visualization
from groupvit.demo.photographs import overview
from groupvit.photographs.bundled import PHOTOGRAPHS
from groupvit.weights.packaged import DEFAULT

FIGURE = Path(__file__).parents[1] / "docs" / "images" / "photographs.jpg"
SHOWN = ("cat.jpg", "coffee.jpg", "raccoon.jpg", "astronaut.jpg")
"""Files in the figure, one row each; the last one shows a failure."""


def main(model: str = DEFAULT, out: Path = FIGURE) -> None:
    """Draw the figure and save it."""
    by_file = {photograph.file: photograph for photograph in PHOTOGRAPHS}
    panels = overview(Segmenter.load(model), [by_file[file] for file in SHOWN])
    figure = visualization.side_by_side(panels, columns=4)
    figure.thumbnail((1600, 1600))
    figure.save(out, quality=88, optimize=True, progressive=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
