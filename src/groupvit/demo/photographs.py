"""Photographs of the page, with the labels that compete for them, and rows of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from groupvit.demo.rows import group_panel
from groupvit.pages.elements import Panel, labeled_panel
from groupvit.segmentation.segmenter import Segmenter

FOLDER = Path(__file__).parent / "photographs"
"""Folder of the files; its README.md lists sources and licenses."""
SIDE = 400
"""Longer side of the photographs on the page [pixels], at most."""


class Photograph(NamedTuple):
    """Photograph of the package."""

    file: str
    title: str
    credit: str
    """Author and license, as in README.md of the folder."""
    labels: tuple[str, ...]
    """Labels that compete; some are not in the photograph."""
    failure: str = ""
    """Errors in its segmentation by the bundled model; empty: none worth a sentence."""

    @property
    def path(self) -> Path:
        """Path of the file."""
        return FOLDER / self.file


PHOTOGRAPHS = (
    Photograph(
        "cat.jpg",
        "A cat",
        "Stefan van der Walt, CC0",
        ("cat", "dog", "person", "blanket", "wall"),
    ),
    Photograph(
        "coffee.jpg",
        "A cup of coffee",
        "Rachel Michetti, CC0",
        ("cup", "table", "cat"),
        "The saucer and a corner behind the table are called cup.",
    ),
    Photograph(
        "photographer.jpg",
        "A photographer",
        "Lav Varshney, CC0",
        ("man", "grass", "sky", "building"),
        "The sky is called building, and the ground and the sky beside the man are called man.",
    ),
    Photograph(
        "admiral.jpg",
        "Rear Admiral Grace Hopper",
        "U.S. Navy, public domain",
        ("woman", "flag", "sky"),
        "The sky and the hat are called flag, and most of the flag is called woman.",
    ),
    Photograph(
        "raccoon.jpg",
        "A raccoon",
        "public-domain-image.com, public domain",
        ("raccoon", "animal", "leaf", "rock"),
        "Raccoon takes no pixel, as no caption has that word, and some leaves are called animal.",
    ),
    Photograph(
        "astronaut.jpg",
        "The astronaut Eileen Collins",
        "NASA, public domain",
        ("woman", "flag", "rocket", "helmet", "wall"),
        "The wall and the rocket are called woman, the suit helmet, and most of the helmet flag.",
    ),
    Photograph(
        "rocket.jpg",
        "A rocket at dusk",
        "SpaceX, public domain",
        ("rocket", "sky", "dog"),
        "The rocket and the towers are called sky, and the lights on the ground rocket.",
    ),
)
"""All photographs, in the order of the page."""


class PhotographRow(NamedTuple):
    """Row of a photograph."""

    title: str
    labels: tuple[str, ...]
    panels: tuple[Panel, ...]
    warnings: tuple[str, ...]
    """Sentences on labels that the model was not trained with."""
    failure: str


def draw_row(segmenter: Segmenter, photograph: Photograph) -> PhotographRow:
    """Segment a photograph by its labels, and draw a row of it.

    The model gets the photograph in its own size; the page shows it reduced to `SIDE`.
    """
    [grouped] = segmenter.group([photograph.path])
    small = grouped.shrunk(SIDE)
    labels = segmenter.parse(photograph.labels)
    result = segmenter.label(small, labels)
    colors = result.colors()
    image, title = small.image, photograph.title
    panels = (
        Panel("Image", photograph.credit, Image.fromarray(image), f"A photograph: {title}"),
        labeled_panel("Labels", "", image, result.label_map, result.labels, colors),
        *(group_panel(small, stage) for stage in range(small.num_stages)),
    )
    warnings = tuple(segmenter.known_words.warnings(labels.words))
    return PhotographRow(title, photograph.labels, panels, warnings, photograph.failure)


def overview(
    segmenter: Segmenter, photographs: Sequence[Photograph]
) -> list[tuple[str, Image.Image]]:
    """Titles and images of photographs, four of each: itself, groups of two stages, labels.

    They are the panels of a figure with a row for each photograph.
    """
    found: list[tuple[str, Image.Image]] = []
    for photograph in photographs:
        [grouped] = segmenter.group([photograph.path])
        result = segmenter.label(grouped, photograph.labels)
        found += grouped.panels(2)
        found.append((", ".join(photograph.labels), result.to_overlay()))
    return found
