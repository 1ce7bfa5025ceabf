"""Verdicts: scores beside their floors, with standard errors of the differences."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from groupvit.distributed import Ranks
from groupvit.evaluation.benchmarks.benchmark import Benchmark, Sample
from groupvit.evaluation.floors import blind_grid, color_and_place
from groupvit.evaluation.oracle import oracle_table
from groupvit.evaluation.per_image import Cells, ImageCounts, add
from groupvit.evaluation.scores import overlap
from groupvit.progress import OnProgress
from groupvit.segmentation.preparation import working_size
from groupvit.segmentation.segmenter import Segmenter

MOST_IMAGES = 500
"""Number of images up to which commands measure floors without being asked."""
GRID, COLOR_AND_PLACE = "blind grid", "color and place"
"""Kinds of floors."""
_CERTAIN = 2.0
"""Standard errors beyond which a difference is claimed."""

Areas = Int64[np.ndarray, "3 label"]
"""Pixels of every class: right ones, those of the mask, those of the label map."""


class OneClass(NamedTuple):
    """Score of a label map with one class everywhere."""

    label: str
    """The background, or else the most frequent class of the masks."""
    miou: float
    """[0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """Oracle score of parts that do not use the meaning of an image."""

    kind: str
    """`blind grid` or `color and place`."""
    miou: float
    """mIoU of the oracle, [0, 1]."""
    gain: float
    """mIoU of the oracle of the groups, less this one, [-1, 1]."""
    error: float | None
    """Standard error of the gain: jackknife over the images; None for a single image."""

    @property
    def claim(self) -> str:
        """Claim about the groups, such as `more than color and place by 6.1 ± 1.2`."""
        floor = f"a {self.kind}" if self.kind == GRID else self.kind
        if self.error is None:
            return f"nothing that one image could prove beside {floor} ({self._signed})"
        if abs(self.gain) <= _CERTAIN * self.error:
            return f"nothing certain beyond {floor} ({self._signed} ± {100 * self.error:.1f})"
        more = "more" if self.gain > 0 else "less"
        by = f"{100 * abs(self.gain):.1f} ± {100 * self.error:.1f}"
        return f"{more} than {floor} by {by}"

    @property
    def _signed(self) -> str:
        return f"{100 * self.gain:+.1f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFloors:
    """Floors of the oracle of one stage."""

    num_parts: int
    """Number of parts: the mean number of groups in use, rounded."""
    floors: tuple[Floor, ...]
    """One of each kind."""

    @property
    def verdict(self) -> str:
        """Sentence about the groups beside each floor, in points of mIoU."""
        claims = " and ".join(floor.claim for floor in reversed(self.floors))
        return f"the groups ({self.num_parts} in use) tell {claims}"

    def to_values(self) -> dict[str, Any]:
        """Values for JSON."""
        floors = {
            one.kind: {"miou": one.miou, "gain": one.gain, "error": one.error}
            for one in self.floors
        }
        return {"num_parts": self.num_parts, "floors": floors, "verdict": self.verdict}


def one_class(
    confusion: Int64[np.ndarray, "label label"], labels: Sequence[str], *, has_background: bool
) -> OneClass:
    """Score of a label map with one class everywhere.

    Args:
        confusion: Pixels by mask (rows) and prediction (columns).
        labels: Names of the classes.
        has_background: The first of them is the background.
    """
    truth = confusion.sum(axis=1)
    chosen = 0 if has_background else int(truth.argmax())
    present = np.union1d(truth.nonzero()[0], chosen)
    return OneClass(labels[chosen], float(truth[chosen] / truth.sum() / len(present)))


def stage_floors(
    segmenter: Segmenter,
    benchmark: Benchmark,
    counts: Sequence[ImageCounts],
    *,
    num_classes: int,
    ranks: Ranks,
    on_progress: OnProgress | None = None,
) -> tuple[StageFloors, ...]:
    """Floors of every stage's oracle, on the same images, which are read again.

    Args:
        segmenter: Model and protocol of the evaluation, whose groups are not computed again.
        benchmark: Images with masks.
        counts: Counts of all images.
        num_classes: Number of classes, the background among them.
        ranks: Processes that share the images.
        on_progress: Called after every image of this process.

    Returns:
        The same on every rank.
    """
    counts = sorted(counts, key=lambda one: one.index)
    numbers = np.mean([one.groups_used for one in counts], axis=0)
    num_parts = [max(1, round(number)) for number in numbers.tolist()]
    own = [one for one in counts if one.index % ranks.world_size == ranks.rank]
    found: dict[int, Mapping[tuple[str, int], Areas]] = {}
    for one in own:
        found[one.index] = _floor_areas(segmenter, benchmark[one.index], num_parts, num_classes)
        if on_progress is not None:
            on_progress(len(found), len(own))
    areas = {index: some for part in ranks.gather_objects(found) for index, some in part.items()}
    stages = []
    for stage, num in enumerate(num_parts):
        groups = np.stack([_areas(one.oracles[stage], num_classes) for one in counts])
        floors = (
            _floor(kind, groups, np.stack([areas[one.index][kind, num] for one in counts]))
            for kind in (GRID, COLOR_AND_PLACE)
        )
        stages.append(StageFloors(num_parts=num, floors=tuple(floors)))
    return tuple(stages)


def _floor_areas(
    segmenter: Segmenter, sample: Sample, num_parts: Iterable[int], num_classes: int
) -> dict[tuple[str, int], Areas]:
    """Areas of the oracle of one image's parts, by kind of floor and number of parts."""
    height, width = sample.mask.shape
    size = working_size(height, width, segmenter.protocol, segmenter.network.config.image)
    refinement = segmenter.refinement
    found = {}
    for num in set(num_parts):
        colored = color_and_place(sample.image, num, working_size=size, refinement=refinement)
        for kind, parts in ((GRID, blind_grid((height, width), num)), (COLOR_AND_PLACE, colored)):
            table = oracle_table(overlap(sample.mask, parts, (num_classes, num)))
            found[kind, num] = _margins(table)
    return found


def _floor(
    kind: str, groups: Int64[np.ndarray, "image 3 label"], parts: Int64[np.ndarray, "image 3 label"]
) -> Floor:
    """Floor from the areas of every image, with the jackknife's error of the gain over it."""
    sums = groups.sum(axis=0, keepdims=True), parts.sum(axis=0, keepdims=True)
    [ours], [floor] = map(_mious, sums)
    num = len(groups)
    # Gain without each of the images in turn (Efron and Tibshirani 1993, chapter 11).
    gains = _mious(sums[0] - groups) - _mious(sums[1] - parts)
    error = float(np.sqrt((num - 1) * gains.var())) if num > 1 else None
    return Floor(kind=kind, miou=float(floor), gain=float(ours - floor), error=error)


def _mious(areas: Int64[np.ndarray, "image 3 label"]) -> Float64[np.ndarray, " image"]:
    """Mean IoU of the classes that occur."""
    hits, truth, predicted = areas[:, 0], areas[:, 1], areas[:, 2]
    union = truth + predicted - hits
    ious = hits / np.maximum(union, 1)
    mious: Float64[np.ndarray, " image"] = ious.sum(axis=1) / np.maximum((union > 0).sum(axis=1), 1)
    return mious


def _areas(cells: Cells, num_classes: int) -> Areas:
    table = np.zeros((num_classes, num_classes), np.int64)
    add(cells, table)
    return _margins(table)


def _margins(table: Int64[np.ndarray, "label label"]) -> Areas:
    return np.stack([table.diagonal(), table.sum(axis=1), table.sum(axis=0)])
