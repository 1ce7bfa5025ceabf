"""HTML page of an evaluation, for readers who do not know oracle mIoU."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from groupvit.evaluation.evaluation import Evaluation
from groupvit.evaluation.measurement import Measurement
from groupvit.evaluation.reports.floors import floor_scores, sentences
from groupvit.evaluation.reports.images import Shown
from groupvit.pages.elements import Bar, Metric
from groupvit.pages.rendering import render

NUM_MISTAKES = 20
"""Number of confusions on the page, at most."""
NUM_GAPS = 5
"""Number of classes that are named as furthest below the oracle, at most."""
SMALLEST_GAP = 0.05
"""IoU by which these are below the oracle, at least."""


class Mistake(NamedTuple):
    """Pixels of one class that are predicted as another."""

    truth: str
    prediction: str
    of_class: float
    """Fraction of the pixels of the true class, [0, 1]."""
    of_all: float
    """Fraction of all pixels, [0, 1]."""


def page(
    evaluation: Evaluation, shown: Sequence[Shown], *, model: str, warnings: Sequence[str] = ()
) -> str:
    """HTML of the report.

    Args:
        evaluation: Scores and their conditions.
        shown: Images, from best to worst.
        model: Name of the model as the user gave it.
        warnings: Sentences on labels that the model was not trained with.
    """
    return render(
        "evaluation/reports/page.html",
        model=model,
        evaluation=evaluation,
        measurement=evaluation.measurement,
        metrics=_metrics(evaluation),
        bars=class_bars(evaluation),
        gaps=_gaps(evaluation),
        floors=floor_scores(evaluation),
        sentences=sentences(evaluation),
        mistakes=mistakes(evaluation),
        num_mistakes=NUM_MISTAKES,
        shown=shown,
        conditions=_conditions(evaluation),
        warnings=warnings,
    )


def class_bars(evaluation: Evaluation) -> list[Bar]:
    """IoU of every class in the masks, and that of the oracle of the last stage."""
    labels, oracle = evaluation.scores.labels, evaluation.oracle
    return [
        Bar(label, iou, best)
        for label, iou, best in zip(labels, evaluation.shown_iou, oracle.iou, strict=True)
        if iou is not None and best is not None
    ]


def mistakes(evaluation: Evaluation) -> list[Mistake]:
    """Every pair of classes that is confused, the one with most pixels first."""
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


def _metrics(evaluation: Evaluation) -> list[Metric]:
    scores, last = evaluation.scores, len(evaluation.oracles)
    metrics = [Metric("mIoU", scores.miou, "mean over classes")]
    for stage in range(last, 0, -1):
        used = evaluation.groups_used[stage - 1]
        note = f"if each of its {used:.1f} groups an image took the class that fits it best"
        metrics.append(Metric(f"oracle, stage {stage}", evaluation.oracles[stage - 1].miou, note))
    note = f"IoU of that group of stage {last} which fits a class best"
    return [
        *metrics,
        Metric("boundary mIoU", evaluation.boundary_miou, "only along borders"),
        Metric("best group", evaluation.best_group_iou[-1], note),
        Metric("pixel accuracy", scores.pixel_accuracy, "of the pixels are right"),
    ]


def _gaps(evaluation: Evaluation) -> list[tuple[str, float]]:
    """Classes that are furthest below the oracle, and how far."""
    gaps = [
        (bar.oracle - bar.iou, bar.name)
        for bar in class_bars(evaluation)
        if bar.oracle - bar.iou > SMALLEST_GAP
    ]
    return [(label, gap) for gap, label in sorted(gaps, reverse=True)[:NUM_GAPS]]


def _with_words(measurement: Measurement) -> list[str]:
    """Labels as they were given, or with the words that the lexicon gave."""
    return [
        f"{label} ({', '.join(words)})" if (words := measurement.expansions.get(label)) else label
        for label in measurement.labels
    ]


def _conditions(evaluation: Evaluation) -> list[tuple[str, str]]:
    measurement, seconds = evaluation.measurement, evaluation.seconds
    rate = evaluation.num_timed / seconds
    conditions = [
        ("Weights", f"{measurement.weights} (fingerprint {measurement.fingerprint})"),
        ("Protocol", str(measurement)),
        ("Precision", measurement.dtype),
        ("Labels", ", ".join(_with_words(measurement))),
        ("Time", f"{evaluation.num_timed:,} images in {seconds:.0f} s ({rate:.1f}/s)"),
    ]
    if measurement.background and measurement.background.words:
        conditions.insert(-1, ("Background words", ", ".join(measurement.background.words)))
    return conditions
