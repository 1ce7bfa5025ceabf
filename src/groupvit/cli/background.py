"""The background as a person asks for it: numbers, words, and a file of `groupvit calibrate`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from groupvit.errors import InputError

if TYPE_CHECKING:
    from groupvit.segmentation.background import Background


class Asked(NamedTuple):
    """What stands on the command line."""

    threshold: float | None = None
    words: tuple[str, ...] = ()
    thresholds: tuple[str, ...] = ()
    """Such as `dog=0.5`."""
    file: Path | None = None

    def among(self, labels: Sequence[str]) -> "Background | None":
        """The background of a question for these labels; None if none is asked for.

        Of the thresholds in the file those count whose labels are asked for.

        Raises:
            InputError: The file is none of `groupvit calibrate`, or a number is none.
        """
        from groupvit.segmentation.background import Background
        from groupvit.text.prompts import parse_label

        if not any((self.words, self.thresholds, self.file)) and self.threshold is None:
            return None
        known = _read(self.file) if self.file else {}
        names = {parse_label(label).name for label in labels}
        fitted = {name: x for name, x in known.get("thresholds", {}).items() if name in names}
        return Background(
            threshold=known.get("threshold") if self.threshold is None else self.threshold,
            words=self.words,
            thresholds=fitted | dict(map(_threshold, self.thresholds)),
            certainty=known.get("certainty"),
        )


def _read(file: Path) -> dict[str, Any]:
    """The values of a calibration."""
    try:
        values: dict[str, Any] = json.loads(file.read_text("utf-8"))
        numbers = [values["threshold"], *values["thresholds"].values()]
        if values["certainty"] in ("score", "similarity") and all(
            isinstance(number, float) for number in numbers
        ):
            return values
    except FileNotFoundError:
        raise InputError(f"no file {file}; make it with groupvit calibrate") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise InputError(f"{file} is no file of groupvit calibrate; make one with it")


def _threshold(text: str) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    try:
        return name.strip(), float(number)
    except ValueError as error:
        raise InputError(
            f"--background-thresholds {text!r} is no threshold; write label=number, such as dog=0.5"
        ) from error
