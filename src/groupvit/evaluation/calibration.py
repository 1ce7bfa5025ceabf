"""Calibration: where the background of a model begins, told by images.

With a few images whose masks are known, one threshold for all labels, and one for each, are
chosen so that the mIoU on them is highest. Without any mask, the threshold is that which parts
certain from uncertain pixels best (Otsu 1979): it supposes that the images show both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.evaluate import OnProgress, asked
from groupvit.evaluation.scores import IGNORED
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.labels import parse
from groupvit.segmentation.score_map import assemble
from groupvit.segmentation.scoring import max_over_synonyms
from groupvit.segmentation.segmenter import ImageInput, Segmenter

NUM_BINS = 400
"""Certainties are counted in so many steps from -1 to 1."""
FEWEST = 3
"""Images that must show a label before it has a threshold of its own."""
ROUNDS = 3
"""How often the thresholds of all labels are gone through."""
CURVE_STEP = 8
"""Of the thresholds for all labels, every so many are told."""
EDGES: Float64[np.ndarray, " bin"] = np.linspace(-1, 1, NUM_BINS, endpoint=False)
"""The certainties at which bins begin, which thresholds may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Where the background begins."""

    threshold: float
    """For labels without one of their own."""
    thresholds: dict[str, float]
    """For labels that enough images show; empty without masks."""
    num_images: int
    """How many it was told by."""
    miou: float | None
    """On these images, by these thresholds, before any refinement; None without masks."""
    curve: tuple[tuple[float, float], ...] = ()
    """Thresholds for all labels, and the mIoU by each; empty without masks."""


def calibrate(
    segmenter: Segmenter, benchmark: Benchmark, *, on_progress: OnProgress | None = None
) -> Calibration:
    """Thresholds from images with masks.

    Args:
        segmenter: The model, and how it looks at images.
        benchmark: Some dozens of images; its first class is the background.
        on_progress: Told after every image.

    Raises:
        InputError: The benchmark has no background, or an image or mask cannot be used.
    """
    if not benchmark.has_background:
        raise InputError(
            f"the classes of {benchmark.name} begin with no background, so that there is nothing "
            "to calibrate"
        )
    labels = asked(benchmark, segmenter).labels
    table = np.zeros((len(labels) + 1, len(labels), NUM_BINS), np.int64)
    shown = np.zeros(len(labels), np.int64)
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
    names = parse(labels).names
    return _fit(table, names, shown, len(benchmark))


def calibrate_blindly(
    segmenter: Segmenter,
    images: Sequence[ImageInput],
    labels: Sequence[str],
    *,
    on_progress: OnProgress | None = None,
) -> Calibration:
    """One threshold from images without masks, some of which show the labels and some not.

    Args:
        segmenter: The model, and how it looks at images.
        images: Files, Pillow images or arrays.
        labels: What is asked for.
        on_progress: Told after every image.

    Raises:
        InputError: An image cannot be read, or a label is empty or given twice.
    """
    counts = np.zeros(NUM_BINS, np.int64)
    for done, path in enumerate(images, start=1):
        [grouped] = segmenter.group([path])
        _, certainty = certainties(segmenter, grouped, labels)
        counts += np.bincount(_bins(certainty.ravel()), minlength=NUM_BINS)
        if on_progress is not None:
            on_progress(done, len(images))
    threshold = float(EDGES[_otsu(counts)])
    return Calibration(threshold=threshold, thresholds={}, num_images=len(images), miou=None)


def certainties(
    segmenter: Segmenter, grouped: GroupedImage, labels: Sequence[str]
) -> tuple[Int64[np.ndarray, "height width"], Float[np.ndarray, "height width"]]:
    """The best label of every pixel, and what is compared with its threshold: see `Certainty`."""
    if segmenter.certainty == "score":
        dense = torch.from_numpy(segmenter.label(grouped, labels).scores)
    else:
        wanted = parse(labels)
        words = segmenter.embed_words(wanted.words)
        tables = [
            max_over_synonyms(one.naming_embeddings @ words.mT, wanted)
            - segmenter.learned_thresholds(one.naming_embeddings)[:, None]
            for one in grouped.windows
        ]
        dense = assemble(grouped, tables, resized=segmenter.protocol.resized).dense()
    certainty, best = dense.max(dim=0)
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
    """The thresholds at which the mIoU is highest: one for all, then label by label."""
    num_labels = len(names)
    # [k, i]: what is counted of label k if its threshold is the i-th edge.
    kept = table[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]
    right = np.stack([kept[k + 1, k] for k in range(num_labels)])
    predicted = kept.sum(axis=0)
    behind = table[0].sum(axis=1)[:, None] - kept[0]  # background that is left to it
    given_up = predicted[:, :1] - predicted
    truth = table.sum(axis=(1, 2))

    def miou(at: Int64[np.ndarray, " label"]) -> float:
        rows = np.arange(num_labels)
        hits = np.append(behind[rows, at].sum(), right[rows, at])
        said = np.append(given_up[rows, at].sum(), predicted[rows, at])
        union = truth + said - hits
        return float((hits / np.maximum(union, 1))[union > 0].mean())

    curve = [miou(np.full(num_labels, i)) for i in range(NUM_BINS)]
    common = int(np.argmax(curve))
    best = np.full(num_labels, common)
    own: list[int] = np.flatnonzero(shown >= FEWEST).tolist()
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
    """The bin at which the part below and the part above differ most from each other."""
    weights, centers = counts / counts.sum(), EDGES + 1 / NUM_BINS
    below = weights.cumsum() - weights
    mean_below = (weights * centers).cumsum() - weights * centers
    total = (weights * centers).sum()
    above = 1 - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (total * below - mean_below) ** 2 / (below * above)
    return int(np.nan_to_num(between, posinf=0.0).argmax())
