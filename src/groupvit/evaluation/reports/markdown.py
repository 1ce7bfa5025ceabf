"""Evaluation as a table in Markdown, with the conditions of its scores."""

from groupvit.evaluation.evaluation import Evaluation


def markdown(evaluation: Evaluation) -> str:
    """Conditions, scores, and one row for each class [%]."""
    measurement, scores, oracle = evaluation.measurement, evaluation.scores, evaluation.oracle
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
    }
    classes = zip(scores.labels, scores.iou, oracle.iou, evaluation.boundary_iou, strict=True)
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
        f"| class | IoU | oracle, stage {len(stages)} | boundary IoU |",
        "|---|---|---|---|",
        *(f"| {name} | " + " | ".join(map(percent, cells)) + " |" for name, *cells in classes),
    ]
    return "\n".join(lines) + "\n"


def percent(fraction: float | None) -> str:
    """Fraction in percent with one decimal; `-` for None."""
    return "-" if fraction is None else f"{100 * fraction:.1f}"
