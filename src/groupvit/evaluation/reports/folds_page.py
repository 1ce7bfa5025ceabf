"""HTML page of folds: the table of scores, and episodes from best to worst."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from groupvit.evaluation.folds.cutting import Folded
from groupvit.evaluation.folds.evaluate import EpisodeScore, absent, painted
from groupvit.evaluation.folds.scores import Map
from groupvit.evaluation.folds.selection import FoldEvaluation
from groupvit.evaluation.reports.folds import HEADERS, class_rows, rows, sentences
from groupvit.evaluation.reports.images import LONGEST, NOT_COUNTED
from groupvit.evaluation.scores import IGNORED
from groupvit.pages.elements import Panel, labeled_panel
from groupvit.pages.rendering import render
from groupvit.palette import colors
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.prompts import parse_label


class Shown(NamedTuple):
    """Episode of a report."""

    fold: str
    label: str
    score: EpisodeScore
    panels: tuple[Panel, ...]


def page(
    folded: Folded, found: Sequence[FoldEvaluation], shown: Sequence[Shown], *, as_published: bool
) -> str:
    """HTML of the report.

    Args:
        folded: Benchmark with its folds.
        found: Scores of folds.
        shown: Episodes, from best to worst in each fold.
        as_published: Candidates were chosen by the held-out classes.
    """
    return render(
        "evaluation/reports/folds.html",
        name=folded.name,
        models=", ".join(dict.fromkeys(one.candidate.model for one in found)),
        columns=[*(f"fold {one.fold.name}" for one in found), *HEADERS],
        rows=rows(found),
        sentences=sentences(folded, found, as_published=as_published),
        classes=class_rows(found),
        shown=shown,
    )


def draw(
    folded: Folded,
    found: FoldEvaluation,
    load: Callable[[str], Segmenter],
    *,
    num: int,
) -> list[Shown]:
    """Episodes of a fold from the best to the worst, at equal steps of rank, labeled again.

    Args:
        folded: Benchmark of the fold.
        found: Scores of the fold.
        load: Function that loads a model by its name.
        num: Number of episodes, at least 0.
    """
    ranked = sorted(found.test.episodes, key=lambda one: (-one.iou, one.image, one.label))
    places = np.linspace(0, len(ranked) - 1, min(num, len(ranked))).round().astype(int)
    if not len(places):
        return []
    segmenter = load(found.candidate.model)
    return [_draw(folded, found, segmenter, ranked[place]) for place in places]


def _draw(
    folded: Folded, found: FoldEvaluation, segmenter: Segmenter, score: EpisodeScore
) -> Shown:
    sample = found.test.rules.applied(folded.benchmark[score.image])
    [groups] = segmenter.group([sample.image])

    def map_of(label: int) -> Map:
        background = found.candidate.others.background(segmenter, folded.labels[label])
        return painted(segmenter, groups, folded.labels[label], background)

    name = parse_label(folded.labels[score.label]).name
    truth = np.where(sample.mask == IGNORED, 2, sample.mask == score.label).astype(np.uint8)
    panels = [
        _panel("Truth", "never shown to the model", sample.image, truth, name),
        _panel(
            "Prediction",
            f"{score.iou:.0%} IoU",
            sample.image,
            map_of(score.label).astype(np.uint8),
            name,
        ),
    ]
    other = absent(folded, found.test.part, score.image, score.label)
    if other is not None:
        of_other = map_of(other).astype(np.uint8)
        other_name = parse_label(folded.labels[other]).name
        note = f"{other_name} is not in the image"
        panels.append(_panel("Name test", note, sample.image, of_other, other_name))
    return Shown(found.fold.name, name, score, tuple(panels))


def _panel(
    title: str,
    note: str,
    image: UInt8[np.ndarray, "height width 3"],
    values: UInt8[np.ndarray, "height width"],
    name: str,
) -> Panel:
    """Panel of «others», a class, and pixels that do not count."""
    small = Image.fromarray(image)
    small.thumbnail((LONGEST, LONGEST))
    reduced = np.array(Image.fromarray(values).resize(small.size, Image.Resampling.NEAREST))
    labels = ("others", name, NOT_COUNTED)
    return labeled_panel(title, note, np.array(small), reduced, labels, colors(3, background=True))
