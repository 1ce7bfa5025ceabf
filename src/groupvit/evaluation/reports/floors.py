"""Floors in reports: names with scores, and sentences."""

from groupvit.evaluation.evaluation import Evaluation


def floor_scores(evaluation: Evaluation) -> dict[str, float]:
    """Scores of the floors by name: one class everywhere, then those of every stage's oracle."""
    label, miou = evaluation.one_class
    found = {f"{label} everywhere": miou}
    for stage in evaluation.floors:
        for floor in stage.floors:
            found[f"oracle of {floor.kind}, {stage.num_parts} parts"] = floor.miou
    return found


def sentences(evaluation: Evaluation) -> list[str]:
    """Verdict of every stage, then what absent classes do to the means."""
    verdicts = [
        f"Stage {number}: {stage.verdict} (oracle mIoU, standard error over images)."
        for number, stage in enumerate(evaluation.floors, start=1)
    ]
    absent = [
        label
        for label, iou, shown in zip(
            evaluation.scores.labels, evaluation.scores.iou, evaluation.shown_iou, strict=True
        )
        if iou is not None and shown is None
    ]
    if absent:
        verdicts.append(
            "In no mask, but predicted, which counts as an IoU of 0 in the means: "
            f"{', '.join(absent)}."
        )
    return verdicts
