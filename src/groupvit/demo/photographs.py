"""Rows of photographs: a photograph, its predicted labels, and its groups."""

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from groupvit.demo.rows import group_panel
from groupvit.pages.elements import Panel, labeled_panel
from groupvit.photographs.bundled import Photograph
from groupvit.segmentation.segmenter import Segmenter

SIDE = 400
"""Longer side of the photographs on the page [pixels], at most."""


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
