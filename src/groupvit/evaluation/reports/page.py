"""An evaluation as a page for people who have never heard of oracle mIoU."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from groupvit.evaluation.evaluation import Evaluation
from groupvit.evaluation.reports.images import Shown
from groupvit.pages.document import document, section, text
from groupvit.pages.pieces import Bar, Figure, article, bars, figures

CONFUSIONS = 20
"""How many of the commonest mistakes are listed."""


class Mistake(NamedTuple):
    """Pixels of one class that are taken for another."""

    truth: str
    prediction: str
    of_class: float
    """Share of the pixels of the true class, [0, 1]."""
    of_all: float
    """Share of all pixels, [0, 1]."""


def page(evaluation: Evaluation, shown: Sequence[Shown], *, model: str) -> str:
    """HTML of the report.

    Args:
        evaluation: Scores and their conditions.
        shown: Images, from best to worst.
        model: Name of the model as the user gave it.
    """
    sections = (
        section("scores", "In short", (_reading(evaluation), figures(_numbers(evaluation)))),
        section("classes", "Class by class", (_gap(evaluation), bars(class_bars(evaluation)))),
        section("mistakes", "What is taken for what", (_mistakes(evaluation),)),
        section("images", "From the best image to the worst", map(_image, shown)),
        section("how", "How it was measured", (_conditions(evaluation),)),
    )
    return document(
        f"{model} on {evaluation.measurement.benchmark}",
        header=_lead(evaluation, model),
        main="\n".join(sections),
        skip=("images", "To the images"),
    )


def _lead(evaluation: Evaluation, model: str) -> str:
    measurement = evaluation.measurement
    num_classes = len(evaluation.scores.labels)
    return (
        f"<h1>How well {text(model)} segments</h1>\n"
        f'<p class="lead">{evaluation.num_images:,} images of {text(measurement.benchmark)}, '
        f"{num_classes} classes, all of which compete for every pixel.</p>\n"
        f'<p class="muted">{text(str(measurement))}.</p>'
    )


def _reading(evaluation: Evaluation) -> str:
    """What the numbers mean, in plain words."""
    scores, oracle = evaluation.scores, evaluation.oracle
    lost_by_groups, lost_by_words = 1 - oracle.miou, oracle.miou - scores.miou
    verdict = (
        "Most of what is missing is lost by the groups: different things end up in one."
        if lost_by_groups > lost_by_words
        else "Most of what is missing is lost by the words: what is grouped well is named wrongly."
    )
    return (
        "<p>For every class, the <strong>IoU</strong> is the share of pixels on which truth and "
        "model agree, among all that either of them gives to the class; 100 % is perfect. "
        "<strong>mIoU</strong> is its mean over the classes. The model first groups pixels, then "
        "gives words to what it found; the <strong>oracle</strong> is the score that the same "
        "groups would have if each had taken the right word, so that the gap to it is what words "
        f"lose, and the rest is what groups lose. {verdict}</p>"
    )


def _numbers(evaluation: Evaluation) -> list[Figure]:
    scores = evaluation.scores
    stages = list(enumerate(zip(evaluation.oracles, evaluation.groups_used, strict=True), start=1))
    last = len(stages)
    return [
        Figure("mIoU", _percent(scores.miou), "mean over classes"),
        *(
            Figure(
                f"oracle, stage {stage}",
                _percent(oracle.miou),
                f"if its {used:.1f} groups an image had the right words",
            )
            for stage, (oracle, used) in reversed(stages)
        ),
        Figure("boundary mIoU", _percent(evaluation.boundary_miou), "only along borders"),
        Figure(
            "best group",
            _percent(evaluation.best_group_iou[-1]),
            f"IoU of that group of stage {last} which fits a class best",
        ),
        Figure("pixel accuracy", _percent(scores.pixel_accuracy), "of the pixels are right"),
    ]


def _gap(evaluation: Evaluation) -> str:
    """The classes that lose most by their words."""
    scores, oracle = evaluation.scores, evaluation.oracle
    gaps = [
        (best - iou, label)
        for label, iou, best in zip(scores.labels, scores.iou, oracle.iou, strict=True)
        if iou is not None and best is not None and best - iou > 0.05
    ]
    if not gaps:
        return "<p>No class is more than 5 points below its oracle.</p>"
    worst = ", ".join(f"{text(label)} ({100 * gap:.0f})" for gap, label in sorted(gaps)[::-1][:5])
    return f"<p>Grouped well but named wrongly, in points below the oracle: {worst}.</p>"


def class_bars(evaluation: Evaluation) -> list[Bar]:
    """Of every class that occurs its IoU, and that of the oracle of the last stage."""
    scores, oracle = evaluation.scores, evaluation.oracle
    return [
        Bar(label, iou, best or 0.0)
        for label, iou, best in zip(scores.labels, scores.iou, oracle.iou, strict=True)
        if iou is not None
    ]


def mistakes(evaluation: Evaluation) -> list[Mistake]:
    """Every pair of classes that is ever confused, the one with most pixels first."""
    table = evaluation.confusion
    wrong = table - np.diag(table.diagonal())
    pairs = sorted(zip(*wrong.nonzero(), strict=True), key=lambda pair: -wrong[pair])
    labels, of_truth = evaluation.scores.labels, table.sum(axis=1)
    return [
        Mistake(
            labels[truth],
            labels[prediction],
            float(wrong[truth, prediction] / of_truth[truth]),
            float(wrong[truth, prediction] / table.sum()),
        )
        for truth, prediction in pairs
    ]


def _mistakes(evaluation: Evaluation) -> str:
    found = mistakes(evaluation)
    if not found:
        return "<p>Nothing: every pixel is right.</p>"
    rows = "\n".join(
        f"<tr><td>{text(one.truth)}</td><td>{text(one.prediction)}</td>"
        f"<td>{_percent(one.of_class)}</td><td>{_percent(one.of_all)}</td></tr>"
        for one in found[:CONFUSIONS]
    )
    return f"""<table>
<caption>The {min(CONFUSIONS, len(found))} commonest of {len(found):,} mistakes</caption>
<thead><tr><th>is</th><th>was called</th><th>of that class</th><th>of all pixels</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>"""


def _image(shown: Shown) -> str:
    score = shown.score
    title = (
        f'{text(score.name)} <span class="muted">mIoU {_percent(score.miou)}, '
        f"{_percent(score.pixel_accuracy)} of the pixels</span>"
    )
    return article(f"image-{score.index}", title, shown.panels)


def _conditions(evaluation: Evaluation) -> str:
    measurement, background = evaluation.measurement, evaluation.measurement.background
    rate = evaluation.num_timed / evaluation.seconds
    facts = {
        "Weights": f"{measurement.weights} (fingerprint {measurement.fingerprint})",
        "Protocol": str(measurement),
        "Precision": measurement.dtype,
        "Labels": ", ".join(measurement.labels),
        "Background words": ", ".join(background.words) if background else "",
        "Time": f"{evaluation.num_timed:,} images in {evaluation.seconds:.0f} s ({rate:.1f}/s)",
    }
    items = "\n".join(
        f"<dt>{name}</dt><dd>{text(str(fact))}</dd>" for name, fact in facts.items() if fact
    )
    return (
        "<p>A number means little without its protocol: the size of images, the words that are "
        "said and the rule for the background move it by many points. Compare only what was "
        f'measured alike.</p>\n<dl class="steps">\n{items}\n</dl>'
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\u00a0%"
