"""Gain of each technique for labeling and for the background, with little or no training.

    groupvit storybook --out data/storybook --num 20000
    python benchmarks/techniques.py --models storybook --pairs data/storybook/pairs/*.tar

Two tables on drawn scenes. In the first all 23 labels compete. In the second only the 15 labels of
things do, and stuff (sky, grass, walls) is background. Calibration and training on masks use a
fifth as many other scenes; training on captions uses 500 pairs. With several models, such as one
recipe with several seeds, the table shows the deviation over them. Cost is the time of one image of
80 pixels, everything included.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from tables import Table

from groupvit import Background
from groupvit.background.calibration import calibrate, calibrate_without_masks
from groupvit.background.learned_layer import learn_from_captions, learn_from_masks
from groupvit.data import index, patterns
from groupvit.data.index import Shard
from groupvit.evaluation.benchmarks.benchmark import Sample
from groupvit.evaluation.benchmarks.scenes import CALIBRATION_SEED, Scenes
from groupvit.evaluation.measurement import Measurement
from groupvit.evaluation.scores import overlap, scores_of
from groupvit.model.groupvit import GroupViT
from groupvit.model.inference import InferenceConfig
from groupvit.segmentation.protocol import GROUPVIT, OURS, Protocol
from groupvit.segmentation.refinement import Refinement
from groupvit.segmentation.segmenter import Segmenter
from groupvit.storybook.stuff import STUFF
from groupvit.text.background import Certainty
from groupvit.weights import catalogue

MEASURED = {"mIoU [%]": 100.0, "threshold [%]": 100.0, "ms": 1000.0}
SCORES, COSINES, MARGINS = (replace(OURS, certainty=certainty) for certainty in get_args(Certainty))
REFINED = replace(COSINES, refinement=Refinement())
REFINED_MARGINS = replace(MARGINS, refinement=Refinement())
WINDOWS = replace(OURS, short_side=168, window=112, stride=56)
SIDES = (96, 112, 128)
SMALL = replace(GROUPVIT, short_side=112)


INFERENCE = InferenceConfig(short_side=112, naming="levels")
"""Inference settings of configs/storybook.toml."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """One technique for labeling images."""

    protocol: Protocol = OURS
    top_labels: int | None = None
    flips: bool = False
    """Average the scores of the image and its mirror image."""
    sides: tuple[int, ...] = ()
    """Sizes over which scores are averaged [pixels]; empty: the size of the protocol."""
    only_present: bool = False
    """Use only the labels that the mask contains: an upper bound."""
    fit: Literal["", "one", "each", "blind"] = ""
    """Thresholds fitted on other scenes: one for all labels, one for each, or one without masks."""
    learned: Literal["", "captions", "masks", "half"] = ""
    """Training data of the background layer: captions, masks, or masks of half of the things."""
    words: tuple[str, ...] = ()
    """Background words."""


NAMES = {
    "`groupvit`: windows of 448, 5 likeliest labels": Way(protocol=GROUPVIT),
    "`groupvit` at the size of the model": Way(protocol=SMALL),
    "`ours`, naming by segments": Way(protocol=replace(OURS, naming="segments")),
    "`ours`": Way(),
    "`ours`, in windows of 112 at 168": Way(protocol=WINDOWS),
    "`ours`, the 4 likeliest labels": Way(top_labels=4),
    "`ours`, the 6 likeliest labels": Way(top_labels=6),
    "`ours`, only labels in the image (a bound)": Way(only_present=True),
    "`ours`, with the mirror image": Way(flips=True),
    "`ours`, at three sizes": Way(sides=SIDES),
    "`ours`, refined": Way(protocol=REFINED),
    "`ours`, refined, only labels in the image": Way(protocol=REFINED, only_present=True),
    "`ours`, refined, with the mirror image": Way(protocol=REFINED, flips=True),
}
BACKGROUNDS = {
    "`groupvit`: score below 0.95": Way(protocol=GROUPVIT),
    "`groupvit` at the size of the model": Way(protocol=SMALL),
    "`ours` by scores, below 0.5": Way(protocol=SCORES),
    "`ours` by scores, `calibrate` without masks": Way(protocol=SCORES, fit="blind"),
    "`ours` by scores, `calibrate`, one threshold": Way(protocol=SCORES, fit="one"),
    "`ours` by scores, `calibrate`, each label": Way(protocol=SCORES, fit="each"),
    "by cosines, below 0.2": Way(protocol=COSINES),
    "by cosines, `calibrate` without masks": Way(protocol=COSINES, fit="blind"),
    "by cosines, `calibrate`, one threshold": Way(protocol=COSINES, fit="one"),
    "by cosines, `calibrate`, each label": Way(protocol=COSINES, fit="each"),
    "by cosines, and background words": Way(protocol=COSINES, words=STUFF),
    "`learn-background` from captions": Way(protocol=MARGINS, learned="captions"),
    "`learn-background` from masks": Way(protocol=MARGINS, learned="masks"),
    "`learn-background` from masks of half of the labels": Way(protocol=MARGINS, learned="half"),
    "`learn-background` from captions, then `calibrate`, each label": Way(
        protocol=MARGINS, learned="captions", fit="each"
    ),
    "by cosines, refined": Way(protocol=REFINED),
    "by cosines, refined, `calibrate`, each label": Way(protocol=REFINED, fit="each"),
    "by cosines, refined, and background words": Way(protocol=REFINED, words=STUFF),
    "`learn-background` from captions, refined": Way(protocol=REFINED_MARGINS, learned="captions"),
    "`learn-background` from masks, refined": Way(protocol=REFINED_MARGINS, learned="masks"),
}


class Half:
    """Scenes with every other thing as a label, and the rest as background."""

    key, name, has_background = "", "half of the things", True

    def __init__(self, scenes: Scenes) -> None:
        self._scenes = scenes
        self.labels = scenes.labels[::2]

    def __len__(self) -> int:
        return len(self._scenes)

    def __getitem__(self, place: int) -> Sample:
        sample = self._scenes[place]
        asked_for = sample.mask % 2 == 1
        return sample._replace(mask=np.where(asked_for, sample.mask // 2 + 1, 0).astype(np.uint8))


def background(segmenter: Segmenter, way: Way, num: int) -> Background | None:
    """Background of a technique: of the protocol (None), or fitted on other scenes."""
    others = Scenes(num=num, seed=CALIBRATION_SEED, only_things=True)
    if not way.fit:
        return Background(words=way.words) if way.words else None
    if way.fit == "blind":
        images = [others[place].image for place in range(num)]
        return Background(
            threshold=calibrate_without_masks(segmenter, images, others.labels).threshold
        )
    found = calibrate(segmenter, others)
    thresholds = found.thresholds if way.fit == "each" else {}
    return Background(threshold=found.threshold, thresholds=thresholds)


def learned(model: GroupViT, way: Way, num: int, shards: Sequence[Shard]) -> GroupViT:
    """Model, with a background layer if the technique uses one."""
    if not way.learned:
        return model
    segmenter = Segmenter(model, inference=INFERENCE)
    if way.learned == "captions":
        return learn_from_captions(segmenter, shards).model
    scenes = Scenes(num=num, seed=CALIBRATION_SEED, only_things=True)
    return learn_from_masks(segmenter, Half(scenes) if way.learned == "half" else scenes).model


def labeled(
    segmenters: Sequence[Segmenter], way: Way, sample: Sample, measurement: Measurement
) -> np.ndarray:
    """Label map of an image, from the mean scores of all segmenters."""
    there = np.unique(sample.mask) if way.only_present else np.arange(len(measurement.labels))
    labels = [measurement.labels[place] for place in there]
    asked_for = {"background": measurement.background, "top_labels": way.top_labels}
    results = [segmenter(sample.image, labels, **asked_for) for segmenter in segmenters]
    if len(results) == 1 and not way.flips:
        return there[results[0].label_map] if way.only_present else results[0].label_map
    scores = sum(result.scores for result in results)
    if way.flips:
        mirrored = sample.image[:, ::-1].copy()
        scores = (
            scores
            + sum(one(mirrored, labels, **asked_for).scores for one in segmenters)[:, :, ::-1]
        )
    return scores.argmax(axis=0)


def measure(
    model: GroupViT, way: Way, num: int, shards: Sequence[Shard], *, only_things: bool
) -> dict[str, float]:
    """Score (mIoU) of a model with one technique, the threshold, and the seconds per image."""
    model = learned(model, way, num // 5, shards)
    protocols = [replace(way.protocol, short_side=side) for side in way.sides] or [way.protocol]
    segmenters = [
        Segmenter(model, inference=INFERENCE, protocol=protocol) for protocol in protocols
    ]
    scenes = Scenes(num=num, only_things=only_things)
    behind = background(segmenters[0], way, num // 5) if only_things else None
    measurement = Measurement.of(segmenters[0], scenes, behind)
    size = (len(scenes.labels) + only_things,) * 2
    table, seconds = np.zeros(size, np.int64), 0.0
    for place in range(num):
        sample = scenes[place]
        start = time.perf_counter()
        found = labeled(segmenters, way, sample, measurement)
        seconds += time.perf_counter() - start
        table += overlap(sample.mask, found.astype(np.uint8), size)
    miou = scores_of(table, [""] * len(table)).miou
    threshold = (
        {"threshold [%]": measurement.background.threshold} if measurement.background else {}
    )
    return {"mIoU [%]": miou, **threshold, "ms": seconds / num}


def main() -> None:
    """Measure all techniques and write both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["storybook"])
    parser.add_argument("--pairs", nargs="+", required=True, help="shards for learn-background")
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("out"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    shards = index.prepare(patterns.expand(given.pairs), None)
    models = [catalogue.load(name)[0] for name in given.models]
    conditions = f"{given.scenes} scenes, {len(models)} models"
    for file, ways in (("names.md", NAMES), ("backgrounds.md", BACKGROUNDS)):
        table, things = Table(given.out / file, MEASURED, conditions), ways is BACKGROUNDS
        for name, way in ways.items():
            table.add(
                name,
                [measure(one, way, given.scenes, shards, only_things=things) for one in models],
            )


if __name__ == "__main__":
    main()
