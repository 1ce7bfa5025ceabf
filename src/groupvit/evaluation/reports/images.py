"""Images of a report, from best to worst, each with mask, labels, groups and oracle."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from groupvit import visualization
from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.evaluation import Evaluation, ImageScore
from groupvit.evaluation.oracle import oracle_map
from groupvit.evaluation.scores import IGNORED
from groupvit.pages.elements import LabelMap, Panel, labeled_panel
from groupvit.palette import colors
from groupvit.segmentation.labels import Labels
from groupvit.segmentation.segmenter import Segmenter

LONGEST = 320
"""Length of the longer side of images in a report [pixels], at most."""
NOT_COUNTED = "not counted"
"""Name of mask pixels of 255."""


class Shown(NamedTuple):
    """Image of a report."""

    score: ImageScore
    panels: tuple[Panel, ...]


def choose(images: Sequence[ImageScore], num: int) -> list[ImageScore]:
    """Images from the best to the worst, at equal steps of rank.

    Args:
        images: Scores of all images.
        num: Number of images to choose, at least 0.
    """
    ranked = sorted(images, key=lambda one: (-one.miou, one.index))
    places = np.linspace(0, len(ranked) - 1, min(num, len(ranked))).round().astype(int)
    return [ranked[place] for place in places]


def draw(
    segmenter: Segmenter,
    benchmark: Benchmark,
    evaluation: Evaluation,
    labels: Labels,
    score: ImageScore,
) -> Shown:
    """Segment an image again, and draw it beside its mask, labels, groups and their oracle.

    Args:
        segmenter: Model and protocol of the evaluation.
        benchmark: Benchmark of the evaluation.
        evaluation: Evaluation of the image.
        labels: Labels of the evaluation, parsed.
        score: Index and scores of the image.
    """
    sample, classes = benchmark[score.index], evaluation.scores.labels
    [grouped] = segmenter.group([sample.image])
    result = segmenter.label(grouped, labels, background=evaluation.measurement.background)
    groups = grouped.group_map(grouped.num_stages - 1)
    maps = {
        ("Truth", "never shown to the model"): np.where(
            sample.mask == IGNORED, len(classes), sample.mask
        ).astype(np.uint16),
        ("Prediction", f"{score.pixel_accuracy:.0%} of the pixels are right"): result.label_map,
        ("Oracle", "its groups, each with the class that fits best"): oracle_map(
            sample.mask, groups, len(classes)
        ),
    }
    count = f"{len(np.unique(groups))} in use"
    shown = visualization.groups(sample.image, groups)
    shown.thumbnail((LONGEST, LONGEST))
    image = Image.fromarray(sample.image)
    image.thumbnail((LONGEST, LONGEST))
    table = colors(len(classes) + 1, background=benchmark.has_background)
    panels = [
        labeled_panel(
            *title, np.array(image), _small(values, image), (*classes, NOT_COUNTED), table
        )
        for title, values in maps.items()
    ]
    title = f"Groups, stage {grouped.num_stages}"
    return Shown(
        score,
        (
            Panel("Image", "", image, f"The image {score.name}"),
            *panels[:2],
            Panel(title, count, shown, f"{title}: {count}, each in its mean color"),
            panels[2],
        ),
    )


def _small(values: LabelMap, image: Image.Image) -> LabelMap:
    """Map at the size of an image; every pixel has the value at its center."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64)
        for new, old in zip((image.height, image.width), values.shape, strict=True)
    )
    small: LabelMap = values[rows][:, columns]
    return small
