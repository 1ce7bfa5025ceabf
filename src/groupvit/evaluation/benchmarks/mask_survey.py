"""Survey of the masks of a benchmark: values that occur, classes without pixels, ignored share."""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Int64

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.benchmarks.files import UNKNOWN, Files, mask_size
from groupvit.evaluation.scores import IGNORED
from groupvit.progress import OnProgress

FREQUENT = 0.01
"""Fraction of ignored pixels from which they may hold a class, rather than be borders of things."""
_MOST = 12
"""Maximum number of values or classes that are listed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskSurvey:
    """Pixels of all masks by their value."""

    files: Files
    """Benchmark of the masks."""
    pixels: Int64[np.ndarray, " value"]
    """Number of pixels of every value."""

    @property
    def present(self) -> set[int]:
        """Classes that have pixels."""
        return set(self.files.values[self.pixels > 0].tolist()) - {UNKNOWN, IGNORED}

    @property
    def missing(self) -> list[str]:
        """Names of the classes without pixels."""
        return [
            name for number, name in enumerate(self.files.classes) if number not in self.present
        ]

    @property
    def ignored(self) -> float:
        """Fraction of pixels that do not count, [0, 1]."""
        return float(self.pixels[self.files.values == IGNORED].sum() / max(1, self.pixels.sum()))

    def __str__(self) -> str:
        """One line: the values with their shares, missing classes, and the ignored share."""
        total = self.pixels.sum()
        occurring = np.flatnonzero(self.pixels).tolist()
        frequent = sorted(occurring, key=lambda value: -self.pixels[value])[:_MOST]
        listed = ", ".join(
            f"{self.files.name_of(value)} ({self.pixels[value] / total:.1%})"
            for value in sorted(frequent)
        )
        parts = [f"masks: values {listed}{_more(len(occurring))}"]
        missing = self.missing
        if missing:
            parts.append(f"in no mask: {', '.join(missing[:_MOST])}{_more(len(missing))}")
        return "; ".join([*parts, f"ignored: {self.ignored:.1%}"])

    def check(self) -> None:
        """Refuse masks whose ignored or unknown values seem to be a class.

        Raises:
            InputError: A value has no class; or a class has no pixels, while many pixels are
                ignored by the convention that 255 does not count.
        """
        unknown = np.flatnonzero((self.pixels > 0) & (self.files.values == UNKNOWN))
        ways = " ".join(f"{value}=CLASS" for value in unknown[:_MOST].tolist())
        count = len(self.files.classes)
        if unknown.tolist() == [count] and not self.files.is_mapped:
            first = self.files.classes[0]
            raise InputError(
                f"{self}; {count} classes have the numbers 0 to {count - 1}: if 0 stands for "
                "pixels that do not count, pass --mask-values 0=ignored "
                f'"1-{count}={first}", and if {count} is a class, add it to {self.files.listed}'
            )
        if len(unknown):
            raise InputError(
                f"{self}; no class has the number {unknown[0]}: add it to {self.files.listed}, or "
                f"map the values, such as --mask-values {self._example(ways)}"
            )
        if self.files.is_mapped or not self.missing or not self.ignored:
            return
        if len(self.present) == 1 or (self.present and self.ignored >= FREQUENT):
            raise InputError(
                f"{self}; {IGNORED} stands for pixels that do not count; if it is a class, pass "
                f"--mask-values {self._example(f'{IGNORED}={self.missing[0]}')}, and if not, pass "
                f"--mask-values {self._example(f'{IGNORED}=ignored')}"
            )

    def _example(self, last: str) -> str:
        """Map of the values that have classes, in ranges, and then `last`."""
        present = sorted(self.present)
        known = [] if not present else [f"0-{present[-1]}={self.files.classes[0]}"]
        if present and present[-1] == 0:
            known = [f"0={self.files.classes[0]}"]
        return " ".join(f'"{text}"' if " " in text or "|" in text else text for text in known) + (
            f" {last}" if known else last
        )


def survey(files: Files, *, on_progress: OnProgress | None = None) -> MaskSurvey:
    """Read all masks of a benchmark.

    Args:
        files: Images and masks.
        on_progress: Called after every mask.

    Raises:
        InputError: A mask cannot be used.
    """
    pixels = np.zeros(len(files.values), np.int64)
    for done, pair in enumerate(files.pairs, start=1):
        found = files.read(pair, mask_size(pair.mask))
        pixels += np.bincount(found.ravel(), minlength=len(pixels))
        if on_progress is not None:
            on_progress(done, len(files.pairs))
    return MaskSurvey(files=files, pixels=pixels)


_CHECKED = WeakKeyDictionary[Files, MaskSurvey]()
"""Surveys of benchmarks whose masks passed the check."""


def checked(benchmark: Benchmark, *, on_progress: OnProgress | None = None) -> MaskSurvey | None:
    """Survey of the masks of a user's benchmark, which are read and checked once.

    Returns:
        None for published benchmarks and drawn scenes, whose masks are known.

    Raises:
        InputError: A mask cannot be used; or see `MaskSurvey.check`.
    """
    if not isinstance(benchmark, Files) or benchmark.key:
        return None
    if benchmark not in _CHECKED:
        found = survey(benchmark, on_progress=on_progress)
        found.check()
        benchmark.check_orientation()
        _CHECKED[benchmark] = found
    return _CHECKED[benchmark]


def _more(count: int) -> str:
    return f" and {count - _MOST} more" if count > _MOST else ""
