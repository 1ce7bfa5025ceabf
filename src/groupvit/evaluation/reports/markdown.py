"""An evaluation as a table in Markdown, with everything that its numbers depend on."""

from collections.abc import Mapping
from typing import Any

from groupvit.evaluation.evaluation import Evaluation


def markdown(evaluation: Evaluation, values: Mapping[str, Any]) -> str:
    """Scores, their conditions, and a row for each class [%].

    Args:
        evaluation: The scores.
        values: What `conditions` gives.
    """
    last = len(evaluation.oracles)
    means = {
        "mIoU": evaluation.scores.miou,
        **{
            f"oracle mIoU, stage {stage}": oracle.miou
            for stage, oracle in enumerate(evaluation.oracles, start=1)
        },
        "boundary mIoU": evaluation.border_miou,
        **{
            f"mean best IoU of a group, stage {stage}": value
            for stage, value in enumerate(evaluation.jaccard, start=1)
        },
        "mean accuracy": evaluation.scores.mean_accuracy,
        "pixel accuracy": evaluation.scores.pixel_accuracy,
    }
    scores, oracle = evaluation.scores, evaluation.oracle
    classes = zip(scores.labels, scores.iou, oracle.iou, evaluation.border_iou, strict=True)
    lines = [
        f"# {values['benchmark']}, {evaluation.num_images:,} images",
        "",
        f"- weights: {values['weights']} ({values['fingerprint']})",
        f"- {described(values)}",
        "",
        "| score | [%] |",
        "|---|---|",
        *(f"| {name} | {_percent(value)} |" for name, value in means.items()),
        "",
        f"| class | IoU | oracle, stage {last} | boundary IoU |",
        "|---|---|---|---|",
        *(f"| {name} | " + " | ".join(map(_percent, cells)) + " |" for name, *cells in classes),
    ]
    return "\n".join(lines) + "\n"


def described(values: Mapping[str, Any]) -> str:
    """In one line how it was measured: the protocol, all deviations from it, and the background.

    Args:
        values: What `conditions` gives.
    """
    changes = ", ".join(one["told"] for one in values["deviations"])
    parts = [f"protocol {values['protocol']}" + (f", but {changes}" if changes else "")]
    if values["background_threshold"] is not None:
        words = len(values["background_words"])
        behind = f"background below {values['background_threshold']:g} ({values['certainty']})"
        if values["background_thresholds"]:
            behind += f" ({len(values['background_thresholds'])} labels by their own)"
        parts.append(behind + (f" and by {words} words" if words else ""))
    taken = f"clusters ({values['clusters']})" if values["clusters"] else values["naming"]
    parts.append(f"words are taken by {taken}")
    return "; ".join(parts)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
