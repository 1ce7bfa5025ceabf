"""Comparison of evaluations: their scores, and the conditions in which they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from groupvit.errors import InputError
from groupvit.evaluation.measurement import Measurement
from groupvit.evaluation.reports.writing import SCORES
from groupvit.values import read_json

_MODEL = ("weights", "fingerprint", "expansions")
"""Values of a measurement that may differ: models are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvaluation:
    """Part of an evaluation that `scores.json` holds and comparisons and cards show."""

    measurement: Measurement
    num_images: int
    miou: float
    """Mean IoU, like all scores in [0, 1]."""
    pixel_accuracy: float
    boundary_miou: float
    oracle_mious: tuple[float, ...]
    """Per stage, first to last: mIoU of the oracle."""
    iou: Mapping[str, float | None]
    """IoU by class; None for a class that is in no mask."""


class Difference(NamedTuple):
    """Condition that is not the same in all evaluations."""

    condition: str
    values: tuple[str, ...]
    """One value for each evaluation."""


def read(path: Path) -> StoredEvaluation:
    """Read an evaluation: a folder of `groupvit evaluate --out`, or the `scores.json` in it.

    Raises:
        InputError: It is neither.
    """
    file = path / SCORES if path.is_dir() else path
    try:
        values = read_json(file)
        stored = StoredEvaluation(
            measurement=Measurement.from_values(values),
            num_images=values["num_images"],
            miou=values["scores"]["miou"],
            pixel_accuracy=values["scores"]["pixel_accuracy"],
            boundary_miou=values["boundary"]["miou"],
            oracle_mious=tuple(oracle["miou"] for oracle in values["oracles"]),
            iou=_iou_of_present(values),
        )
        _check(stored)
        return stored
    except FileNotFoundError:
        raise InputError(f"no file {file}; make it with groupvit evaluate --out") from None
    except KeyError as error:
        raise InputError(f"{file} is no evaluation: it lacks {str(error.args[0])[:200]}") from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{file} is no evaluation: {str(error)[:200]}") from None


def _iou_of_present(values: Mapping[str, Any]) -> dict[str, float | None]:
    """IoU of every class, None for one without pixels in the masks."""
    present = [sum(row) > 0 for row in values["confusion"]]
    ious = values["scores"]["iou"]
    return {
        name: iou if here else None for (name, iou), here in zip(ious.items(), present, strict=True)
    }


def _check(stored: StoredEvaluation) -> None:
    """Check the types of what is shown.

    Raises:
        ValueError: One is another.
    """
    scores = (stored.miou, stored.pixel_accuracy, stored.boundary_miou, *stored.oracle_mious)
    for score in (*scores, *stored.iou.values()):
        if score is not None and not isinstance(score, float | int):
            raise ValueError(f"a score is {score!r:.40}")
    if not isinstance(stored.num_images, int):
        raise ValueError(f"num_images is {stored.num_images!r:.40}")
    measurement = stored.measurement
    texts = (measurement.weights, measurement.benchmark, measurement.protocol, *measurement.labels)
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"a name is {text!r:.40}")


def differences(evaluations: Sequence[StoredEvaluation]) -> list[Difference]:
    """Conditions that are not the same in all evaluations; scores then do not compare."""
    conditions = [
        {**one.measurement.to_values(), "num_images": one.num_images} for one in evaluations
    ]
    return [
        Difference(name.replace("_", " "), tuple(_brief(one[name]) for one in conditions))
        for name, first in conditions[0].items()
        if name not in _MODEL and any(one[name] != first for one in conditions)
    ]


def _brief(value: Any) -> str:
    """Value in a sentence: deviations by their descriptions, other collections by their size."""
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, dict):
        return f"{len(value)} labels with their own"
    if not isinstance(value, list):
        return str(value)
    if isinstance(value[0], dict):
        return ", ".join(one["description"] for one in value)
    return f"{len(value)} words"
