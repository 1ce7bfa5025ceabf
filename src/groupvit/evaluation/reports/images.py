"""Images of a report: the best, some between, and the worst, each with truth and groups."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from groupvit import visualization
from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.evaluate import Question, names
from groupvit.evaluation.evaluation import ImageScore
from groupvit.evaluation.oracle import oracle_map
from groupvit.evaluation.scores import IGNORED
from groupvit.pages.pieces import LabelMap, Panel, labeled
from groupvit.palette import colors
from groupvit.segmentation.segmenter import Segmenter

LONGEST = 320
"""Images in a page have at most this on the longer side [pixels]."""
NOT_COUNTED = "not counted"
"""What the pixels are called whose truth is unknown."""


class Shown(NamedTuple):
    """An image of a report."""

    score: ImageScore
    panels: tuple[Panel, ...]


def choose(images: Sequence[ImageScore], num: int) -> list[ImageScore]:
    """So many of them from the best to the worst, at equal steps of rank.

    Args:
        images: All of them.
        num: How many, at least 0.
    """
    ranked = sorted(images, key=lambda one: (-one.miou, one.index))
    places = np.linspace(0, len(ranked) - 1, min(num, len(ranked))).round().astype(int)
    return [ranked[place] for place in places]


def draw(
    segmenter: Segmenter, benchmark: Benchmark, question: Question, score: ImageScore
) -> Shown:
    """Segment an image once more, and draw it beside truth, words, groups and their oracle."""
    sample = benchmark[score.index]
    [grouped] = segmenter.group([sample.image])
    result = segmenter.label(grouped, question.labels, background=question.background)
    labels = names(benchmark)
    groups = grouped.group_map(grouped.num_stages - 1)
    maps = {
        ("Truth", "never shown to the model"): np.where(
            sample.mask == IGNORED, len(labels), sample.mask
        ).astype(np.uint16),
        ("Words", f"{score.pixel_accuracy:.0%} of the pixels are right"): result.label_map,
        ("Oracle", "its groups with the right words"): oracle_map(sample.mask, groups, len(labels)),
    }
    count = f"{len(np.unique(groups))} in use"
    shown = visualization.groups(sample.image, groups)
    shown.thumbnail((LONGEST, LONGEST))
    image = Image.fromarray(sample.image)
    image.thumbnail((LONGEST, LONGEST))
    table = colors(len(labels) + 1, background=benchmark.has_background)
    panels = [
        labeled(*title, np.array(image), _small(values, image), (*labels, NOT_COUNTED), table)
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
    """A map at the size of an image, each pixel that of its center."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64)
        for new, old in zip((image.height, image.width), values.shape, strict=True)
    )
    small: LabelMap = values[rows][:, columns]
    return small
