"""What better names and a better background are worth, without any training: a row for each.

    python benchmarks/techniques.py --models storybook

Two tables on drawn scenes. In the first all 23 words compete. In the second only the 15 words of
things do, and stuff (sky, grass, walls) is background; thresholds that are fitted are fitted on
other scenes (seed 77). With several models, such as one recipe from several seeds, the deviation
over them is shown. Cost is for one picture of 80 pixels, everything included.
"""

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from tables import Table

from groupvit import Background
from groupvit.evaluation.benchmarks.benchmark import Sample
from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.evaluation.scores import overlap, scores_of
from groupvit.model.groupvit import GroupViT
from groupvit.segmentation.protocol import GROUPVIT, OURS, Protocol
from groupvit.segmentation.refinement import Refinement
from groupvit.segmentation.segmenter import Segmenter
from groupvit.storybook.stuff import STUFF
from groupvit.weights import find

FITTED_ON = 77
MEASURED = {"mIoU [%]": 100.0, "threshold [%]": 100.0, "ms": 1000.0}
SCORES = replace(OURS, certainty="score")
REFINED = replace(OURS, refinement=Refinement())
SMALL = replace(GROUPVIT, short_side=112)
STEPS = {"score": (0.5, 0.8, 0.9, 0.95, 0.98), "similarity": (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)}


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to label pictures."""

    protocol: Protocol = OURS
    top_labels: int | None = None
    flips: bool = False
    """Whether scores are the mean of those of the picture and its mirror image."""
    only_present: bool = False
    """Whether only words compete that are in the picture, which nobody knows: a bound."""
    threshold: float | None = None
    """Where the background begins; None: it is fitted."""
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
    "`groupvit`: score below 0.95": Way(protocol=GROUPVIT, threshold=0.95),
    "`groupvit` at the size of the model": Way(protocol=SMALL, threshold=0.95),
    "`ours` by scores, below 0.5": Way(protocol=SCORES, threshold=0.5),
    "`ours` by scores, threshold fitted": Way(protocol=SCORES),
    "`ours`: cosine below 0.2": Way(threshold=0.2),
    "`ours`, threshold fitted": Way(),
    "`ours`, and words for the background": Way(threshold=0.2, words=STUFF),
    "`ours`, refined": Way(protocol=REFINED, threshold=0.2),
    "`ours`, refined, and words for the background": Way(
        protocol=REFINED, threshold=0.2, words=STUFF
    ),
}


def labelled(segmenter: Segmenter, way: Way, sample: Sample, scenes: Scenes) -> np.ndarray:
    """The label map of a picture."""
    behind = None
    if scenes.has_background:
        behind = Background(threshold=way.threshold, words=way.words)
    labels = np.array(scenes.labels)
    there = np.unique(sample.mask) if way.only_present else np.arange(len(labels))

    def scores(picture: np.ndarray) -> torch.Tensor:
        chosen = labels[there].tolist()
        found = segmenter(picture, chosen, background=behind, top_labels=way.top_labels)
        return torch.from_numpy(found.scores)

    if not way.flips and not way.only_present:
        top = {"top_labels": way.top_labels}
        return segmenter(sample.picture, scenes.labels, background=behind, **top).label_map
    dense = scores(sample.picture)
    if way.flips:
        dense = (dense + scores(sample.picture[:, ::-1].copy()).flip(-1)) / 2
    best: np.ndarray = there[dense.argmax(dim=0).numpy()]
    return best.astype(np.uint8)


def score(segmenter: Segmenter, way: Way, scenes: Scenes) -> dict[str, float]:
    """The mIoU, and the seconds for a picture."""
    size = (len(scenes.labels) + scenes.has_background,) * 2
    table, seconds = np.zeros(size, np.int64), 0.0
    for index in range(len(scenes)):
        sample = scenes[index]
        start = time.perf_counter()
        found = labelled(segmenter, way, sample, scenes)
        seconds += time.perf_counter() - start
        table += overlap(sample.mask, found, size)
    miou = scores_of(table, [""] * len(table)).miou
    return {"mIoU [%]": miou, "ms": seconds / len(scenes)}


def measure(model: GroupViT, way: Way, num: int, *, only_things: bool) -> dict[str, float]:
    """The score of one model by one way, and the threshold if it was fitted."""
    segmenter = Segmenter(model, protocol=way.protocol)
    scenes = Scenes(num=num, only_things=only_things)
    if not only_things or way.threshold is not None:
        return score(segmenter, way, scenes)
    others = Scenes(num=num // 3, seed=FITTED_ON, only_things=True)

    def on_others(threshold: float) -> float:
        return score(segmenter, replace(way, threshold=threshold), others)["mIoU [%]"]

    best = max(STEPS[segmenter.certainty], key=on_others)
    return score(segmenter, replace(way, threshold=best), scenes) | {"threshold [%]": best}


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
