"""Evaluations side by side: what they score, and whether they were measured alike."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from groupvit.errors import InputError
from groupvit.evaluation.reports.writing import SCORES

CONDITIONS = (
    *("benchmark", "num_images", "protocol", "deviations", "naming", "clusters", "words"),
    *("certainty", "background_threshold", "background_thresholds", "background_words", "dtype"),
)
"""What must be equal, or numbers do not compare."""


class Difference(NamedTuple):
    """A condition that is not the same everywhere."""

    condition: str
    values: tuple[str, ...]
    """One for each evaluation."""


def read(path: Path) -> dict[str, Any]:
    """The values of an evaluation: a folder that `groupvit evaluate --out` wrote, or its JSON.

    Raises:
        InputError: It is none of these.
    """
    file = path / SCORES if path.is_dir() else path
    try:
        values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        missing = [name for name in (*CONDITIONS, "scores", "oracles") if name not in values]
    except FileNotFoundError:
        raise InputError(f"no file {file}; make it with groupvit evaluate --out") from None
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{file} is no evaluation: {error}") from None
    if missing:
        raise InputError(f"{file} is no evaluation: it lacks {missing[0]}")
    return values


def differences(evaluations: Sequence[Mapping[str, Any]]) -> list[Difference]:
    """The conditions that are not the same for all evaluations."""
    found = []
    for name in CONDITIONS:
        values = [one[name] for one in evaluations]
        if any(value != values[0] for value in values):
            found.append(Difference(name.replace("_", " "), tuple(map(_told, values))))
    return found


def _told(value: object) -> str:
    """Deviations are told in words, lists by their number."""
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return ", ".join(one["told"] for one in value)
    if isinstance(value, dict):
        return f"{len(value)} labels by their own" if value else "none"
    if isinstance(value, list):
        return f"{len(value)} words" if value else "none"
    return "none" if value is None else str(value)
