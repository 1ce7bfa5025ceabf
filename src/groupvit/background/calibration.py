"""Calibration: background thresholds of a model, found on images.

With masks, a few dozen images give one threshold for all labels and one for each label, so that
the mIoU on these images is highest. Without masks, one threshold separates certain from uncertain
pixels best (Otsu 1979), which supposes that the images show both.

Axes:
    bin: intervals of certainty, from -1 to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.benchmarks.mask_survey import checked
from groupvit.evaluation.measurement import prescribed_labels
from groupvit.evaluation.scores import IGNORED
from groupvit.progress import OnProgress
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.image_input import ImageInput
from groupvit.segmentation.labels import Labels
from groupvit.segmentation.score_map import assemble
from groupvit.segmentation.segmenter import Segmenter
from groupvit.segmentation.tables import margins

NUM_BINS = 400
"""Number of bins from -1 to 1 in which certainties are counted."""
MIN_IMAGES = 3
"""Minimum number of images that show a label with a threshold of its own."""
ROUNDS = 3
"""Number of passes over the labels in which their thresholds are improved."""
CURVE_STEP = 8
"""Step between bins of the curve."""
EDGES: Float64[np.ndarray, " bin"] = np.linspace(-1, 1, NUM_BINS, endpoint=False)
"""Lower edge of every bin: the candidates for thresholds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Background thresholds of a model."""

    threshold: float
    """Threshold of labels without one of their own."""
    thresholds: dict[str, float]
    """Thresholds of the labels that enough images show; empty without masks."""
    num_images: int
    """Number of images of the calibration."""
    miou: float | None
    """mIoU with these thresholds on these images, before refinement; None without masks."""
    curve: tuple[tuple[float, float], ...] = ()
    """Threshold for all labels, and mIoU with it; empty without masks."""


def calibrate(
    segmenter: Segmenter, benchmark: Benchmark, *, on_progress: OnProgress | None = None
) -> Calibration:
    """Calibrate on images with masks.

    Args:
        segmenter: Model and protocol.
        benchmark: A few dozen images; the first class is the background.
        on_progress: Called after every image.

    Raises:
        InputError: The benchmark has no background, an image or mask cannot be used, or the masks
            of a folder seem to be of another kind.
    """
    if not benchmark.has_background:
        raise InputError(
            f"the classes of {benchmark.name} begin with no background, so that there is nothing "
            "to calibrate"
        )
    checked(benchmark)
    labels = segmenter.parse(prescribed_labels(benchmark, segmenter.protocol))
    # Pixels by class of the mask (the background first), best label, and bin of its certainty.
    count = len(labels.names)
    table = np.zeros((count + 1, count, NUM_BINS), np.int64)
    shown = np.zeros(count, np.int64)  # number of images that show each label
    for index in range(len(benchmark)):
        sample = benchmark[index]
        [grouped] = segmenter.group([sample.image])
        best, certainty = certainties(segmenter, grouped, labels)
        counted = sample.mask != IGNORED
        cells = (sample.mask[counted], best[counted], _bins(certainty[counted]))
        np.add.at(table, cells, 1)
        present = np.unique(sample.mask[counted])
        shown[present[present > 0] - 1] += 1
        if on_progress is not None:
            on_progress(index + 1, len(benchmark))
    return _fit(table, labels.names, shown, len(benchmark))


def calibrate_without_masks(
    segmenter: Segmenter,
    images: Sequence[ImageInput],
    labels: Sequence[str],
    *,
    on_progress: OnProgress | None = None,
) -> Calibration:
    """Calibrate one threshold on images, some of which show the labels and some do not.

    Args:
        segmenter: Model and protocol.
        images: Files, Pillow images or arrays.
        labels: Labels, with synonyms as for segmentation.
        on_progress: Called after every image.

    Raises:
        InputError: An image cannot be read, or a label is empty or given twice.
    """
    counts, parsed = np.zeros(NUM_BINS, np.int64), segmenter.parse(labels)
    for done, path in enumerate(images, start=1):
        [grouped] = segmenter.group([path])
        _, certainty = certainties(segmenter, grouped, parsed)
        counts += np.bincount(_bins(certainty.ravel()), minlength=NUM_BINS)
        if on_progress is not None:
            on_progress(done, len(images))
    threshold = float(EDGES[_otsu(counts)])
    return Calibration(threshold=threshold, thresholds={}, num_images=len(images), miou=None)


def certainties(
    segmenter: Segmenter, grouped: GroupedImage, labels: Sequence[str] | Labels
) -> tuple[Int64[np.ndarray, "height width"], Float[np.ndarray, "height width"]]:
    """Best label of every pixel, and the certainty that is compared with its threshold.

    The certainty is the score of the label, its cosine, or its margin over the background layer:
    see `groupvit.text.background.Certainty`. The best label is the one with the highest certainty,
    also where scores of synonyms add.
    """
    if segmenter.certainty == "score":
        dense = torch.from_numpy(segmenter.label(grouped, labels).scores)
    else:
        parsed = segmenter.parse(labels)
        words = segmenter.embed_words(parsed.words)
        tables = [  # of every window, (part, label)
            margins(one, words, parsed, segmenter.learned_thresholds) for one in grouped.windows
        ]
        dense = assemble(grouped, tables, resized=segmenter.protocol.resized).dense()
    certainty, best = dense.max(dim=0)  # of (label, height, width)
    return best.cpu().numpy(), certainty.cpu().numpy()


def _bins(certainty: Float[np.ndarray, " pixel"]) -> Int64[np.ndarray, " pixel"]:
    bins = np.floor((certainty.astype(np.float64) + 1) / 2 * NUM_BINS)
    return bins.clip(0, NUM_BINS - 1).astype(np.int64)


def _fit(
    table: Int64[np.ndarray, "truth label bin"],
    names: Sequence[str],
    shown: Int64[np.ndarray, " label"],
    num_images: int,
) -> Calibration:
    """Thresholds with the highest mIoU: one for all labels, then label by label.

    Args:
        table: Pixels by class of the mask (background first), best label, and certainty.
        names: Names of the labels.
        shown: Number of images that show each label.
        num_images: Number of images.
    """
    num_labels = len(names)
    # A threshold at edge i keeps the label in bin i and above; below, pixels become background.
    kept = table[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]  # (truth, label, threshold)
    right = np.stack([kept[k + 1, k] for k in range(num_labels)])  # (label, threshold)
    predicted = kept.sum(axis=0)
    background_right = table[0].sum(axis=1)[:, None] - kept[0]
    background_predicted = predicted[:, :1] - predicted
    truth = table.sum(axis=(1, 2))  # pixels of every class, background first

    def miou(at: Int64[np.ndarray, " label"]) -> float:
        """MIoU with every label's threshold at this edge."""
        rows = np.arange(num_labels)
        hits = np.append(background_right[rows, at].sum(), right[rows, at])
        answers = np.append(background_predicted[rows, at].sum(), predicted[rows, at])
        union = truth + answers - hits
        return float((hits / np.maximum(union, 1))[union > 0].mean())

    curve = [miou(np.full(num_labels, i)) for i in range(NUM_BINS)]
    common = int(np.argmax(curve))
    best = np.full(num_labels, common)
    own: list[int] = np.flatnonzero(shown >= MIN_IMAGES).tolist()
    # Coordinate ascent: labels share the background, so that one threshold moves the others'.
    for _ in range(ROUNDS):
        for k in own:
            choices = [np.where(np.arange(num_labels) == k, i, best) for i in range(NUM_BINS)]
            better = max(choices, key=miou)
            best = better if miou(better) > miou(best) else best
    return Calibration(
        threshold=float(EDGES[common]),
        thresholds={names[k]: float(EDGES[best[k]]) for k in own},
        num_images=num_images,
        miou=miou(best),
        curve=tuple(zip(EDGES[::CURVE_STEP].tolist(), curve[::CURVE_STEP], strict=True)),
    )


def _otsu(counts: Int64[np.ndarray, " bin"]) -> int:
    """First bin of the upper class where the variance between both classes is highest.

    variance = weight below * weight above * (mean above - mean below)^2
             = (mean * weight below - sum below)^2 / (weight below * weight above)
    """
    weights, centers = counts / counts.sum(), EDGES + 1 / NUM_BINS
    below = weights.cumsum() - weights  # weight of all bins before each
    sum_below = (weights * centers).cumsum() - weights * centers
    mean = (weights * centers).sum()
    above = 1 - below
    with np.errstate(divide="ignore", invalid="ignore"):  # where a class is empty
        between = (mean * below - sum_below) ** 2 / (below * above)
    return int(np.nan_to_num(between, posinf=0.0).argmax())
