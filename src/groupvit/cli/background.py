"""Background options of commands: thresholds, words, a file of `groupvit calibrate`, or auto."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from groupvit.errors import InputError
from groupvit.values import read_json

if TYPE_CHECKING:
    from groupvit.text.background import Background

Default = Callable[[Sequence[str]], "Background"]
"""Background of a model for some labels: `Segmenter.default_background`."""


class BackgroundOptions(NamedTuple):
    """Background options of a command."""

    threshold: float | Literal["auto"] | None = None
    """Threshold of all labels; `auto`: that of the model."""
    words: tuple[str, ...] = ()
    """Words that become background."""
    thresholds: tuple[str, ...] = ()
    """Thresholds of single labels, such as `dog=0.5`."""
    file: Path | None = None
    """File of `groupvit calibrate`."""

    def check(self, labels: Sequence[str]) -> None:
        """Find mistakes before a model is loaded; see `resolve`."""
        if self != BackgroundOptions():
            from groupvit.text.background import Background

            self.resolve(labels, lambda _: Background(threshold=0.0))

    def resolve(self, labels: Sequence[str], default: Default) -> "Background | None":
        """Background for these labels; None if no option is given.

        Thresholds of other labels, in the file or of the model, are left out.

        Args:
            labels: Labels of the segmentation.
            default: Function that gives the background for `auto`.

        Raises:
            InputError: The file is not one of `groupvit calibrate`, a number is wrong or out of
                range, or a threshold is given in two ways.
        """
        if self == BackgroundOptions():
            return None
        from groupvit.text.background import Background
        from groupvit.text.prompts import parse_labels, split_labels

        own = dict(map(_threshold, split_labels(self.thresholds)))
        number = self.threshold if isinstance(self.threshold, float) else None
        if self.threshold != "auto" and self.file is None:
            return Background(threshold=number, words=self.words, thresholds=own)
        if self.threshold == "auto" and self.file is not None:
            raise InputError("both --background auto and --background-file; keep one of them")
        known = default(labels) if self.file is None else read(self.file)
        known = known.among([label.name for label in parse_labels(labels)])
        return replace(
            known,
            threshold=known.threshold if number is None else number,
            words=self.words or known.words,
            thresholds={**known.thresholds, **own},
        )


def read(file: Path) -> "Background":
    """Read a file of `groupvit calibrate`.

    Raises:
        InputError: There is no such file, or its content is something else.
    """
    from groupvit.text.background import Background, Certainty

    try:
        values = read_json(file)
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
    raise InputError(f"{file} was not written by groupvit calibrate; make one with it")


def _threshold(text: str) -> tuple[str, float]:
    from groupvit.text.prompts import split_words

    name, _, number = text.rpartition("=")
    try:
        return split_words([name])[0], float(number)
    except (ValueError, IndexError) as error:
        raise InputError(
            f"--background-thresholds {text!r} is no threshold; write label=number, such as dog=0.5"
        ) from error
