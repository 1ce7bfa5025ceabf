"""Folds: classes held out together, the images they are tested on, and the images left to train on.

An episode is an image and one class in it; the image is labeled by two labels, «others» and the
class. PASCAL-5i (Shaban et al. 2017) and COCO-20i (Nguyen and Todorovic 2019) each cut their
classes into four folds. Any other benchmark is cut into folds of five consecutive classes here, and
named "5i over" it, since its folds are none of the published ones.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import cycle, islice
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int64

from groupvit.errors import InputError, suggestion
from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.benchmarks.files import Files, mask_size
from groupvit.evaluation.scores import IGNORED
from groupvit.progress import OnProgress
from groupvit.text.prompts import parse_label

FOLD_SIZE = 5
"""Number of classes of a fold, but of the last one."""
EVERY = 10
"""Of the images without a held-out class, every tenth is left to validation."""
PartKind = Literal["test", "validation"]


class Episode(NamedTuple):
    """An image and a class that it shows."""

    image: int
    """Index of the image in the benchmark."""
    label: int
    """Number of the class in the masks."""


class Fold(NamedTuple):
    """Classes that are held out together."""

    name: str
    """Number of the fold, or `held-out` for classes that the user chose."""
    held_out: tuple[int, ...]
    """Their numbers in the masks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Episodes that are evaluated together."""

    kind: PartKind
    """`test`: held-out classes; `validation`: the others, on images without held-out classes."""
    fold: str
    """Name of the fold."""
    classes: tuple[int, ...]
    """Numbers of the classes."""
    episodes: tuple[Episode, ...]
    """Episodes; those that the published protocol repeats occur as often here."""

    def images(self, limit: int | None) -> tuple[int, ...]:
        """Images of the episodes, in ascending order; at most `limit`, spread evenly over them."""
        found = sorted({one.image for one in self.episodes})
        return tuple(spread(found, limit))


class Published(NamedTuple):
    """Details in which the published protocols differ."""

    void_counts: bool
    """Pixels of 255 count as others."""
    is_drawn: bool
    """Every episode is drawn at random: a class of the fold, then an image that shows it; False:
    the list of the test is repeated."""


PASCAL = Published(void_counts=False, is_drawn=False)
COCO = Published(void_counts=True, is_drawn=True)
PUBLISHED_EPISODES = 1000
"""Number of episodes of a fold in the published protocols."""


@dataclass(frozen=True, kw_only=True)
class Folded:
    """Benchmark whose classes are cut into folds."""

    benchmark: Benchmark
    """Images with masks."""
    name: str
    """Name in reports, such as `PASCAL-5i`."""
    folds: tuple[Fold, ...]
    """Folds, in order."""
    shown: tuple[Episode, ...]
    """Every class of every image, the background not among them."""
    listed: Mapping[str, tuple[Episode, ...]] = field(default_factory=dict)
    """Episodes of the test by fold, from published lists, which leave out some of `shown`; of a
    fold without a list, all that `shown` has are tested."""
    is_trained_on: bool = True
    """The images without a class of the fold are trained on, but for those of validation; False:
    other images are."""
    published: Published = PASCAL
    """Details of the published protocol."""

    @cached_property
    def labels(self) -> dict[int, str]:
        """Label of every class by its number, such as `car|taxi`."""
        return dict(enumerate(self.benchmark.labels, start=int(self.benchmark.has_background)))

    @cached_property
    def classes_of(self) -> Mapping[int, frozenset[int]]:
        """Classes by image, for images that show any."""
        found: dict[int, set[int]] = {}
        for one in self.shown:
            found.setdefault(one.image, set()).add(one.label)
        return {image: frozenset(labels) for image, labels in sorted(found.items())}

    def test(self, fold: Fold) -> Part:
        """Episodes of the held-out classes."""
        return self._part("test", fold, fold.held_out, self.listed.get(fold.name, self.shown))

    def published_test(self, fold: Fold) -> Part:
        """The 1,000 episodes of the published protocol: the list again and again, or draws.

        The published draws depend on the random numbers of a training; these have seed 0.
        """
        part = self.test(fold)
        by_class = {
            label: [one for one in part.episodes if one.label == label] for label in part.classes
        }
        rng = random.Random(0)
        episodes: Iterable[Episode] = (
            [
                rng.choice(
                    by_class[rng.choice([label for label in part.classes if by_class[label]])]
                )
                for _ in range(PUBLISHED_EPISODES)
            ]
            if self.published.is_drawn
            else islice(cycle(part.episodes), PUBLISHED_EPISODES)
        )
        return replace(part, episodes=tuple(episodes))

    def validation(self, fold: Fold) -> Part:
        """Episodes of all other classes, on images that show no held-out class.

        Where the benchmark is trained on too, every tenth of these images is validation.
        """
        seen = tuple(number for number in self.labels if number not in fold.held_out)
        images = set(self.validation_images(fold))
        shown = (one for one in self.shown if one.image in images)
        return self._part("validation", fold, seen, shown)

    def training_images(self, fold: Fold) -> list[int]:
        """Images that show a class, but none of the fold, without those of validation."""
        kept = set(self.validation_images(fold)) if self.is_trained_on else set()
        return [image for image in self._free(fold) if image not in kept]

    def validation_images(self, fold: Fold) -> list[int]:
        """Images of `validation`."""
        return self._free(fold)[EVERY - 1 :: EVERY] if self.is_trained_on else self._free(fold)

    def _free(self, fold: Fold) -> list[int]:
        """Images that show a class, but none of the fold."""
        held_out = fold.held_out
        return [image for image, found in self.classes_of.items() if found.isdisjoint(held_out)]

    def _part(
        self, kind: PartKind, fold: Fold, classes: tuple[int, ...], shown: Iterable[Episode]
    ) -> Part:
        episodes = tuple(one for one in shown if one.label in classes)
        if not episodes:
            names = ", ".join(self.labels[number] for number in classes[:FOLD_SIZE])
            raise InputError(
                f"{self.name}, fold {fold.name}: no image can be used for its {kind}, since none "
                f"shows {names}{' or others of its classes' * (len(classes) > FOLD_SIZE)}"
                f"{' without a held-out class' * (kind == 'validation')}; take more images, or "
                "other classes"
            )
        return Part(kind=kind, fold=fold.name, classes=classes, episodes=episodes)


def consecutive(numbers: Sequence[int], size: int = FOLD_SIZE) -> tuple[Fold, ...]:
    """Folds of consecutive classes."""
    starts = range(0, len(numbers), size)
    return tuple(
        Fold(str(index), tuple(numbers[start : start + size])) for index, start in enumerate(starts)
    )


def interleaved(numbers: Sequence[int], num_folds: int) -> tuple[Fold, ...]:
    """Folds of every n-th class: fold i has the classes i, i + n, i + 2n and so on."""
    return tuple(Fold(str(index), tuple(numbers[index::num_folds])) for index in range(num_folds))


def of_names(names: Sequence[str], labels: Mapping[int, str]) -> Fold:
    """Fold of the classes of these names or synonyms.

    Args:
        names: Names, whatever their case.
        labels: Label of every class by its number.

    Raises:
        InputError: A name is no class or is given twice, or no class is left.
    """
    numbers = {
        word.casefold(): number
        for number, label in labels.items()
        for word in parse_label(label).words
    }
    found = []
    for name in names:
        number = numbers.get(" ".join(name.split()).casefold())
        if number is None:
            known = [parse_label(label).name for label in labels.values()]
            raise InputError(
                f"--held-out {name!r} is no class; the classes are {', '.join(known)}"
                + suggestion(name, known)
            )
        if number in found:
            raise InputError(f"--held-out has {name!r} twice; keep one")
        found.append(number)
    if len(found) == len(labels):
        raise InputError("--held-out has all classes; leave some to train on")
    return Fold("held-out", tuple(sorted(found)))


def shown_in(benchmark: Benchmark, *, on_progress: OnProgress | None = None) -> tuple[Episode, ...]:
    """Every class of every image, by reading all masks.

    Args:
        benchmark: Images with masks.
        on_progress: Called after every mask.

    Raises:
        InputError: A mask cannot be used.
    """
    first, found = int(benchmark.has_background), list[Episode]()
    for image in range(len(benchmark)):
        numbers = np.unique(_mask(benchmark, image)).tolist()
        found += [Episode(image, one) for one in numbers if first <= one != IGNORED]
        if on_progress is not None:
            on_progress(image + 1, len(benchmark))
    return tuple(found)


def _mask(benchmark: Benchmark, image: int) -> Int64[np.ndarray, "height width"]:
    """Classes of an image's mask, maybe not upright; of a file, without reading its image."""
    if not isinstance(benchmark, Files):
        return benchmark[image].mask.astype(np.int64)
    pair = benchmark.pairs[image]
    found: Int64[np.ndarray, "height width"] = benchmark.values[
        benchmark.read(pair, mask_size(pair.mask))
    ]
    return found


def spread(values: Sequence[int], limit: int | None) -> list[int]:
    """At most `limit` of the values, at equal steps, the first among them; None: all."""
    if limit is None or limit >= len(values):
        return list(values)
    return [values[place * len(values) // limit] for place in range(limit)]
