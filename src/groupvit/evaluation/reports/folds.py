"""Report of folds: a table of scores by fold beside the floors, and one of the classes."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from groupvit.evaluation.folds.cutting import Folded
from groupvit.evaluation.folds.scores import MODEL, NAMELESS, TwoLabelScores
from groupvit.evaluation.folds.selection import FoldEvaluation
from groupvit.evaluation.reports.markdown import percent
from groupvit.evaluation.reports.writing import PAGE, SCORES, TABLE
from groupvit.evaluation.scores import mean_of_known
from groupvit.files import write_text

SEEN = "model, seen classes"
"""Name of the row of the validation."""
HEADERS = ("mean", "FB-IoU", "name test")
"""Columns behind those of the folds."""


class Row(NamedTuple):
    """Scores of one label map in all folds, in [0, 1]."""

    name: str
    mious: tuple[float, ...]
    """mIoU of every fold."""
    mean: float
    """Mean of these."""
    fb_iou: float
    """Mean over the folds."""
    name_test: float | None
    """Mean over the folds; None: not measured."""

    @property
    def cells(self) -> tuple[str, ...]:
        """Percentages."""
        return tuple(map(percent, (*self.mious, self.mean, self.fb_iou, self.name_test)))


def rows(found: Sequence[FoldEvaluation]) -> list[Row]:
    """Scores of the model, of its seen classes if they were measured, and of the floors."""
    tests = [one.test.scores for one in found]
    result = [_row(name, [scores[name] for scores in tests]) for name in tests[0]]
    seen = [one.validation.scores[MODEL] for one in found if one.validation]
    return [result[0], _row(SEEN, seen), *result[1:]] if seen else result


def class_rows(found: Sequence[FoldEvaluation]) -> list[tuple[str, str, str, str]]:
    """Fold, class, its IoU by the model, and by the true foreground without names [%]."""
    result = []
    for one in found:
        scores = one.test.scores
        nameless = scores[NAMELESS].iou if NAMELESS in scores else None
        for place, label in enumerate(scores[MODEL].labels):
            floor = nameless[place] if nameless else None
            iou = scores[MODEL].iou[place]
            result.append((one.fold.name, label, percent(iou), percent(floor)))
    return result


def sentences(folded: Folded, found: Sequence[FoldEvaluation], *, as_published: bool) -> list[str]:
    """Conditions and choices, and what the name test shows."""
    model, nameless = (
        next((row for row in rows(found) if row.name == name), None) for name in (MODEL, NAMELESS)
    )
    first = found[0].test
    size = f"stretched to {first.rules.stretch} pixels" if first.rules.stretch else "as they are"
    episodes = ", ".join(f"{one.test.num_episodes:,}" for one in found)
    images = ", ".join(f"{one.test.num_images:,}" for one in found)
    notes = [
        f"Two labels, «others» ({_distinct(found, lambda one: str(one.candidate.others))}) and the "
        f"class; images {size}; {episodes} episodes on {images} images.",
        str(first.measurement) + ".",
    ]
    if model and nameless and model.name_test is not None and nameless.name_test is not None:
        notes.append(
            f"Name test: {percent(model.name_test)} % of the pixels are painted as a class that "
            f"the image does not show; the true foreground without names would paint "
            f"{percent(nameless.name_test)} %."
        )
    for one in found:
        if one.tried:
            by = "the held-out classes, as published" if as_published else "the seen classes"
            scores = ", ".join(
                f"{tried.candidate.model} with others {tried.candidate.others} "
                f"{percent(tried.miou)}"
                for tried in one.tried
            )
            notes.append(
                f"Fold {one.fold.name}: {one.candidate.model} with others {one.candidate.others}, "
                f"chosen by the mIoU of {by} ({scores})."
            )
    missing = [fold.name for fold in folded.folds if fold not in [one.fold for one in found]]
    if missing:
        notes.append(f"Not evaluated: fold {', '.join(missing)}.")
    return notes


def markdown(folded: Folded, found: Sequence[FoldEvaluation], *, as_published: bool) -> str:
    """Scores, conditions and classes."""
    columns = [*(f"fold {one.fold.name}" for one in found), *HEADERS]
    weights = _distinct(found, lambda one: f"{one.candidate.model}")
    lines = [
        f"# {folded.name}: held-out classes",
        "",
        f"| mIoU of the held-out classes [%] | {' | '.join(columns)} |",
        "|---" * (1 + len(columns)) + "|",
        *(f"| {row.name} | {' | '.join(row.cells)} |" for row in rows(found)),
        "",
        f"- model: {weights}",
        *(f"- {note}" for note in sentences(folded, found, as_published=as_published)),
        "",
        "| fold | class | IoU | IoU of the true foreground |",
        "|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in class_rows(found)),
    ]
    return "\n".join(lines) + "\n"


def write(
    out: Path, folded: Folded, found: Sequence[FoldEvaluation], *, as_published: bool, page: str
) -> None:
    """Write report.html, report.md and scores.json.

    Args:
        out: Folder.
        folded: Benchmark with its folds.
        found: Scores of folds.
        as_published: Candidates were chosen by the held-out classes.
        page: HTML of the page.

    Raises:
        InputError: A file cannot be written.
    """
    means = {
        row.name: {
            "miou": row.mean,
            "fb_iou": row.fb_iou,
            "name_test": row.name_test,
            "folds": list(row.mious),
        }
        for row in rows(found)
    }
    values = {
        "benchmark": folded.name,
        "as_published": as_published,
        "means": means,
        "folds": [one.to_values() for one in found],
    }
    write_text(out / PAGE, page)
    write_text(out / TABLE, markdown(folded, found, as_published=as_published))
    write_text(out / SCORES, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def _row(name: str, scores: Sequence[TwoLabelScores]) -> Row:
    mious = tuple(one.miou for one in scores)
    shares = [one.name_test for one in scores if one.name_test is not None]
    return Row(
        name=name,
        mious=mious,
        mean=mean_of_known(mious),
        fb_iou=mean_of_known([one.fb_iou for one in scores]),
        name_test=mean_of_known(shares) if shares else None,
    )


def _distinct(found: Sequence[FoldEvaluation], name: Callable[[FoldEvaluation], str]) -> str:
    return "; ".join(dict.fromkeys(map(name, found)))
