"""The background as people ask for it: numbers, words, a file of `groupvit calibrate`, or auto."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from groupvit.errors import InputError

if TYPE_CHECKING:
    from groupvit.text.background import Background

Usual = Callable[[Sequence[str]], "Background"]
"""What a model goes by, such as `Segmenter.usual_background`."""


class BackgroundOptions(NamedTuple):
    """What stands on the command line."""

    threshold: float | Literal["auto"] | None = None
    words: tuple[str, ...] = ()
    thresholds: tuple[str, ...] = ()
    """Such as `dog=0.5`."""
    file: Path | None = None

    def check(self, labels: Sequence[str]) -> None:
        """Refuse what is wrong before any model is loaded; see `among`."""
        from groupvit.text.background import Background

        self.among(labels, lambda _: Background(threshold=0.0))

    def among(self, labels: Sequence[str], usual: Usual) -> "Background | None":
        """The background of a question for these labels; None if none is asked for.

        Of the thresholds in the file, or of the model, those count whose labels are asked for.

        Args:
            labels: The words.
            usual: What `auto` means.

        Raises:
            InputError: The file is none of `groupvit calibrate`, a number is none or out of range,
                or a threshold is asked for in two ways.
        """
        from groupvit.text.background import Background
        from groupvit.text.prompts import parse_label

        if not any((self.words, self.thresholds, self.file)) and self.threshold is None:
            return None
        own = dict(map(_threshold, self.thresholds))
        number = self.threshold if isinstance(self.threshold, float) else None
        if self.threshold != "auto" and self.file is None:
            return Background(threshold=number, words=self.words, thresholds=own)
        if self.threshold == "auto" and self.file is not None:
            raise InputError("both --background auto and --background-file; keep one of them")
        known = usual(labels) if self.file is None else read(self.file)
        known = known.among([parse_label(label).name for label in labels])
        return replace(
            known,
            threshold=known.threshold if number is None else number,
            words=self.words,
            thresholds={**known.thresholds, **own},
        )


def read(file: Path) -> "Background":
    """What `groupvit calibrate` found.

    Raises:
        InputError: There is no such file, or it is another one.
    """
    from groupvit.text.background import Background, Certainty

    try:
        values = json.loads(file.read_text("utf-8"))
        numbers = [values["threshold"], *values["thresholds"].values()]
        if values["certainty"] in get_args(Certainty) and all(
            isinstance(number, float) for number in numbers
        ):
            names = ("threshold", "thresholds", "certainty")
            return Background(**{name: values[name] for name in names})
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
