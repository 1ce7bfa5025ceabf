"""Evaluation of a model on the episodes of a fold."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from groupvit.distributed import Ranks
from groupvit.evaluation.benchmarks.benchmark import Sample
from groupvit.evaluation.folds.counting import (
    EPISODE,
    NAME_TEST,
    ImageAreas,
    count,
    from_values,
    summed,
)
from groupvit.evaluation.folds.cutting import Folded, Part
from groupvit.evaluation.folds.others import Others
from groupvit.evaluation.folds.scores import Map, TwoLabelScores, names_of_maps, scores_of
from groupvit.evaluation.journal import CountsJournal, Prepare, data_of, opened
from groupvit.evaluation.measurement import Measurement
from groupvit.evaluation.scores import IGNORED
from groupvit.progress import OnProgress
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background
from groupvit.text.prompts import parse_label

PUBLISHED_SIDE = 480
"""Side of the square that the published protocol stretches images and masks to [pixels]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Rules of an evaluation besides those of the protocol."""

    others: Others
    """Competitor of the class."""
    stretch: int | None = None
    """Side of the square that images (bilinear) and masks (nearest) are stretched to [pixels];
    None: they keep their size."""
    void_counts: bool = False
    """Mask pixels of 255 count as others."""

    def applied(self, sample: Sample) -> Sample:
        """Image and mask under these rules."""
        image, mask = sample.image, sample.mask
        if self.void_counts:
            mask = np.where(mask == IGNORED, 0, mask).astype(np.uint8)
        if self.stretch is not None:
            size = self.stretch, self.stretch
            image = np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
            mask = np.array(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
        return Sample(sample.name, image, mask)

    def to_values(self) -> dict[str, Any]:
        """Values for JSON."""
        return {
            "others": str(self.others),
            "stretch": self.stretch,
            "void_counts": self.void_counts,
        }


class EpisodeScore(NamedTuple):
    """Score of one episode."""

    image: int
    """Index of the image in the benchmark."""
    name: str
    """Name of the image in reports."""
    label: int
    """Number of the class."""
    iou: float
    """IoU of the foreground, [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartEvaluation:
    """Scores of a model, and of floors, on a part of a fold."""

    part: Part
    """Classes and episodes."""
    measurement: Measurement
    """Conditions of the scores."""
    rules: Rules
    """Rules besides those of the protocol."""
    scores: Mapping[str, TwoLabelScores]
    """Scores by label map: those of the model, then of floors; see `names_of_maps`."""
    episodes: tuple[EpisodeScore, ...]
    """Scores of the model on every image and class, each once."""
    num_images: int
    """Number of images that were scored."""
    num_episodes: int
    """Number of their episodes."""
    seconds: float
    """Duration, reading of files included."""
    num_timed: int
    """Number of images within this duration; the journal had the others."""

    def to_values(self) -> dict[str, Any]:
        """Values for JSON."""
        return {
            **self.measurement.to_values(),
            **self.rules.to_values(),
            "fold": self.part.fold,
            "part": self.part.kind,
            "scores": {name: one.to_values() for name, one in self.scores.items()},
            "num_images": self.num_images,
            "num_episodes": self.num_episodes,
            "seconds": self.seconds,
            "num_timed": self.num_timed,
        }


def evaluate_part(
    segmenter: Segmenter,
    folded: Folded,
    part: Part,
    rules: Rules,
    *,
    limit: int | None = None,
    folder: Path | None = None,
    prepare: Prepare | None = None,
    ranks: Ranks | None = None,
    on_progress: OnProgress | None = None,
) -> PartEvaluation:
    """Label the images of a part by «others» and one class, for each class of its episodes.

    For the name test every image is labeled by one class more that it does not show, if the part
    has any: the next of the part's classes, counted from the class of its first episode.

    Args:
        segmenter: Model and protocol.
        folded: Benchmark of the part.
        part: Classes and episodes.
        rules: Rules besides those of the protocol.
        limit: Maximum number of images, spread evenly over all; None: all.
        folder: Folder of the journal, from which an interrupted evaluation resumes; None: no
            journal.
        prepare: Called on rank 0 when the folder is this evaluation's own; may delete it.
        ranks: Processes that share the images; None: this process alone.
        on_progress: Called after every image of this process.

    Returns:
        The same on every rank, and for any number of ranks.

    Raises:
        InputError: An image or mask cannot be used, the rule for «others» does not work with the
            model, or the folder holds another measurement, one of other data, or a damaged line,
            or is in use.
    """
    ranks = ranks or Ranks()
    task = _Task(segmenter, folded, part, rules)
    [data, *_] = ranks.gather_objects(data_of(folded.benchmark) if folder else "")
    make = None
    if folder is not None:
        make = partial(
            CountsJournal[ImageAreas], folder, task.conditions() | {"data": data}, task.parse
        )
    images = part.images(limit)
    kept = frozenset(images)
    start = time.perf_counter()
    with opened(make, ranks, prepare) as journal:
        done = {one.index: one for one in journal.done} if journal else {}
        left = [image for image in images[ranks.rank :: ranks.world_size] if image not in done]
        new = list[ImageAreas]()
        for counted in task.count(left):
            new.append(counted)
            if journal is not None:
                journal.add(counted)
            if on_progress is not None:
                on_progress(len(new), len(left))
        timed = list(chain.from_iterable(ranks.gather_objects(new)))
    found = {one.index: one for one in (*done.values(), *timed)}
    counts = [found[image] for image in images]
    return PartEvaluation(
        part=part,
        measurement=task.measurement,
        rules=rules,
        scores=task.scores(counts),
        episodes=tuple(chain.from_iterable(map(_episode_scores, counts))),
        num_images=len(images),
        num_episodes=sum(one.image in kept for one in part.episodes),
        seconds=time.perf_counter() - start,
        num_timed=len(timed),
    )


def absent(folded: Folded, part: Part, image: int, label: int) -> int | None:
    """Class of the name test of an image: the next after this one that the image does not show."""
    shows, first = folded.classes_of.get(image, frozenset()), part.classes.index(label) + 1
    following = (*part.classes[first:], *part.classes[:first])
    return next((other for other in following if other not in shows), None)


class _Task:
    """Labels and classes of a part, for one model."""

    def __init__(self, segmenter: Segmenter, folded: Folded, part: Part, rules: Rules) -> None:
        self._segmenter, self._folded, self._part, self._rules = segmenter, folded, part, rules
        self._maps = names_of_maps(has_background=folded.benchmark.has_background)
        self._num_classes = max(folded.labels) + 1
        self._backgrounds = {
            label: rules.others.background(segmenter, folded.labels[label])
            for label in part.classes
        }
        self._repeats = Counter((one.image, one.label) for one in part.episodes)
        self._first = {one.image: one.label for one in reversed(part.episodes)}
        expansions: dict[str, tuple[str, ...]] = {}
        for label, background in self._backgrounds.items():
            expansions |= segmenter.parse([folded.labels[label]], background).expansions()
        self.measurement = Measurement.under(
            segmenter,
            folded.benchmark,
            tuple(folded.labels[label] for label in part.classes),
            expansions=expansions,
            background=self._backgrounds[part.classes[0]],
        )

    def conditions(self) -> dict[str, Any]:
        """Conditions of a journal; of the episodes a digest, since lists may leave out some."""
        pairs = repr(sorted(self._repeats)).encode()
        return {
            **self._rules.to_values(),
            **self.measurement.to_values(),
            "fold": self._part.fold,
            "part": self._part.kind,
            "classes": list(self._part.classes),
            "episodes": hashlib.sha256(pairs).hexdigest()[:16],
        }

    def parse(self, values: Any) -> ImageAreas:
        """Areas of a line of the journal."""
        return from_values(values, num_maps=len(self._maps), num_classes=self._num_classes)

    def count(self, images: Sequence[int]) -> Iterator[ImageAreas]:
        """Areas of every image, read and grouped in batches."""
        size = self._segmenter.batch_size
        for start in range(0, len(images), size):
            batch = images[start : start + size]
            samples = [self._rules.applied(self._folded.benchmark[image]) for image in batch]
            grouped = self._segmenter.group([sample.image for sample in samples])
            for image, sample, groups in zip(batch, samples, grouped, strict=True):
                shown = [label for label in self._part.classes if (image, label) in self._repeats]
                absent = self._absent(image)
                yield count(
                    image,
                    sample,
                    {label: self._painted(groups, label) for label in shown},
                    {label: self._painted(groups, label) for label in absent},
                    has_background=self._folded.benchmark.has_background,
                )

    def scores(self, counts: Sequence[ImageAreas]) -> dict[str, TwoLabelScores]:
        """Scores by label map."""
        table = summed(
            counts, self._repeats, num_maps=len(self._maps), num_classes=self._num_classes
        )
        classes = list(self._part.classes)
        names = tuple(parse_label(self._folded.labels[label]).name for label in classes)
        return {
            name: scores_of(found[EPISODE][classes], found[NAME_TEST][classes], names)
            for name, found in zip(self._maps, table, strict=True)
        }

    def _absent(self, image: int) -> list[int]:
        found = absent(self._folded, self._part, image, self._first[image])
        return [] if found is None else [found]

    def _painted(self, groups: GroupedImage, label: int) -> Map:
        name, background = self._folded.labels[label], self._backgrounds[label]
        return painted(self._segmenter, groups, name, background)


def painted(segmenter: Segmenter, groups: GroupedImage, label: str, background: Background) -> Map:
    """Pixels with this label rather than «others»."""
    found = segmenter.label(groups, [label], background=background)
    is_label: Map = found.label_map == 1
    return is_label


def _episode_scores(counts: ImageAreas) -> Iterator[EpisodeScore]:
    """Scores of the model on the classes of an image."""
    for place, kind, label, *found in counts.rows.tolist():
        both, truth, of_model, _ = found
        if (place, kind) == (0, EPISODE) and truth + of_model > both:
            yield EpisodeScore(counts.index, counts.name, label, both / (truth + of_model - both))
