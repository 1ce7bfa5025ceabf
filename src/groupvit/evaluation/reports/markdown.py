"""Evaluation as a table in Markdown, with the conditions of its scores."""

from groupvit.evaluation.evaluation import Evaluation
from groupvit.evaluation.reports.floors import floor_scores, sentences


def markdown(evaluation: Evaluation) -> str:
    """Conditions, scores, and one row for each class [%]."""
    measurement, scores, oracle = evaluation.measurement, evaluation.scores, evaluation.oracle
    labels, notes = scores.labels, sentences(evaluation)
    stages = range(1, len(evaluation.oracles) + 1)
    means = {
        "mIoU": scores.miou,
        **{f"oracle mIoU, stage {k}": evaluation.oracles[k - 1].miou for k in stages},
        "boundary mIoU": evaluation.boundary_miou,
        **{
            f"mean best IoU of a group, stage {k}": evaluation.best_group_iou[k - 1] for k in stages
        },
        "mean accuracy": scores.mean_accuracy,
        "pixel accuracy": scores.pixel_accuracy,
        **{f"floor: {name}": value for name, value in floor_scores(evaluation).items()},
    }
    classes = zip(
        labels, evaluation.shown_iou, oracle.iou, evaluation.shown_boundary_iou, strict=True
    )
    lines = [
        f"# {measurement.benchmark}, {evaluation.num_images:,} images",
        "",
        f"- weights: {measurement.weights} ({measurement.fingerprint})",
        f"- {measurement}",
        "",
        "| score | [%] |",
        "|---|---|",
        *(f"| {name} | {percent(value)} |" for name, value in means.items()),
        "",
        *(f"- {note}" for note in notes),
        *([""] if notes else []),
        f"| class | IoU | oracle, stage {len(stages)} | boundary IoU |",
        "|---|---|---|---|",
        *(f"| {name} | " + " | ".join(map(percent, cells)) + " |" for name, *cells in classes),
    ]
    return "\n".join(lines) + "\n"


def percent(fraction: float | None) -> str:
    """Fraction in percent with one decimal; `-` for None."""
    return "-" if fraction is None else f"{100 * fraction:.1f}"
