"""What better names and a better background are worth, without any training: a row for each.

    python benchmarks/techniques.py --models storybook

Two tables on drawn scenes. In the first all 23 words compete. In the second only the 15 words of
things do, and stuff (sky, grass, walls) is background; what is calibrated is so on a fifth as many
other scenes. With several models, such as one recipe from several seeds, the deviation
over them is shown. Cost is for one picture of 80 pixels, everything included.
"""

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from tables import Table

from groupvit import Background
from groupvit.evaluation.benchmarks.benchmark import Sample
from groupvit.evaluation.benchmarks.scenes import CALIBRATION_SEED, Scenes
from groupvit.evaluation.calibration import calibrate, calibrate_blindly
from groupvit.evaluation.evaluate import Question, asked
from groupvit.evaluation.scores import overlap, scores_of
from groupvit.model.groupvit import GroupViT
from groupvit.segmentation.protocol import GROUPVIT, OURS, Protocol
from groupvit.segmentation.refinement import Refinement
from groupvit.segmentation.segmenter import Segmenter
from groupvit.storybook.stuff import STUFF
from groupvit.weights import find

MEASURED = {"mIoU [%]": 100.0, "threshold [%]": 100.0, "ms": 1000.0}
SCORES = replace(OURS, certainty="score")
REFINED = replace(OURS, refinement=Refinement())
SMALL = replace(GROUPVIT, short_side=112)


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to label pictures."""

    protocol: Protocol = OURS
    top_labels: int | None = None
    flips: bool = False
    """Whether scores are the mean of those of the picture and its mirror image."""
    only_present: bool = False
    """Whether only words compete that are in the picture, which nobody knows: a bound."""
    fit: Literal["", "one", "each", "blind"] = ""
    """What is fitted on other scenes: a threshold for all labels, for each, or without masks."""
    words: tuple[str, ...] = ()
    """Words of the background."""


NAMES = {
    "`groupvit`: windows of 448, 5 likeliest words": Way(protocol=GROUPVIT),
    "`groupvit` at the size of the model": Way(protocol=SMALL),
    "`ours`, the last segments take the words": Way(protocol=replace(OURS, naming="segments")),
    "`ours`": Way(),
    "`ours`, the 4 likeliest words": Way(top_labels=4),
    "`ours`, the 6 likeliest words": Way(top_labels=6),
    "`ours`, only words that are there (a bound)": Way(only_present=True),
    "`ours`, with the mirror image": Way(flips=True),
    "`ours`, refined": Way(protocol=REFINED),
    "`ours`, refined, only words that are there": Way(protocol=REFINED, only_present=True),
    "`ours`, refined, with the mirror image": Way(protocol=REFINED, flips=True),
}
BACKGROUNDS = {
    "`groupvit`: score below 0.95": Way(protocol=GROUPVIT),
    "`groupvit` at the size of the model": Way(protocol=SMALL),
    "`ours` by scores, below 0.5": Way(protocol=SCORES),
    "`ours` by scores, `calibrate` without masks": Way(protocol=SCORES, fit="blind"),
    "`ours` by scores, `calibrate`, one threshold": Way(protocol=SCORES, fit="one"),
    "`ours` by scores, `calibrate`, each label": Way(protocol=SCORES, fit="each"),
    "`ours`: cosine below 0.2": Way(),
    "`ours`, `calibrate` without masks": Way(fit="blind"),
    "`ours`, `calibrate`, one threshold": Way(fit="one"),
    "`ours`, `calibrate`, each label": Way(fit="each"),
    "`ours`, and words for the background": Way(words=STUFF),
    "`ours`, refined": Way(protocol=REFINED),
    "`ours`, refined, `calibrate`, each label": Way(protocol=REFINED, fit="each"),
    "`ours`, refined, and words for the background": Way(protocol=REFINED, words=STUFF),
}


def background(segmenter: Segmenter, way: Way, num: int) -> Background | None:
    """What is asked of a model: what the protocol prescribes, or what other scenes tell."""
    others = Scenes(num=num, seed=CALIBRATION_SEED, only_things=True)
    if not way.fit:
        return Background(words=way.words) if way.words else None
    if way.fit == "blind":
        pictures = [others[index].picture for index in range(num)]
        return Background(threshold=calibrate_blindly(segmenter, pictures, others.labels).threshold)
    found = calibrate(segmenter, others)
    thresholds = found.thresholds if way.fit == "each" else {}
    return Background(threshold=found.threshold, thresholds=thresholds)


def labelled(segmenter: Segmenter, way: Way, sample: Sample, question: Question) -> np.ndarray:
    """The label map of a picture."""
    there = np.unique(sample.mask) if way.only_present else np.arange(len(question.labels))
    labels = [question.labels[index] for index in there]
    asked_for = {"background": question.background, "top_labels": way.top_labels}
    result = segmenter(sample.picture, labels, **asked_for)
    if not way.flips:
        return there[result.label_map] if way.only_present else result.label_map
    mirrored = segmenter(sample.picture[:, ::-1].copy(), labels, **asked_for)
    return (result.scores + mirrored.scores[:, :, ::-1]).argmax(axis=0)


def measure(model: GroupViT, way: Way, num: int, *, only_things: bool) -> dict[str, float]:
    """The mIoU of one model by one way, the threshold, and the seconds for a picture."""
    segmenter = Segmenter(model, protocol=way.protocol)
    scenes = Scenes(num=num, only_things=only_things)
    behind = background(segmenter, way, num // 5) if only_things else None
    question = asked(scenes, segmenter, behind)
    size = (len(scenes.labels) + only_things,) * 2
    table, seconds = np.zeros(size, np.int64), 0.0
    for index in range(num):
        sample = scenes[index]
        start = time.perf_counter()
        found = labelled(segmenter, way, sample, question)
        seconds += time.perf_counter() - start
        table += overlap(sample.mask, found.astype(np.uint8), size)
    miou = scores_of(table, [""] * len(table)).miou
    threshold = {"threshold [%]": question.background.threshold} if question.background else {}
    return {"mIoU [%]": miou, **threshold, "ms": seconds / num}


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["storybook"])
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("out"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    models = [find.load(name)[0] for name in given.models]
    conditions = f"{given.scenes} scenes, {len(models)} models"
    for file, ways in (("names.md", NAMES), ("backgrounds.md", BACKGROUNDS)):
        table, things = Table(given.out / file, MEASURED, conditions), ways is BACKGROUNDS
        for name, way in ways.items():
            table.add(name, [measure(one, way, given.scenes, only_things=things) for one in models])


if __name__ == "__main__":
    main()
