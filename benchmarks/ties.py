"""Share of pixels whose label depends on the last softmax of the protocol `groupvit`.

    python benchmarks/ties.py

The original takes a softmax of the averaged scores before the best label. In float32 it makes close
scores equal, and then the first label wins. Images are segmented with and without it, by a model
that is as sure as the released ones (logit scale 100).
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files

import torch

from groupvit import Background, Segmenter
from groupvit.segmentation.protocol import GROUPVIT

IMAGES = ("examples/harbour.png", "examples/scene.png")
CASES = (("voc", True), ("coco_stuff", False), ("ade20k", False))
"""Lists of classes, and whether they have a background, at the protocol's threshold."""


def labels_of(name: str) -> list[str]:
    """Classes of a benchmark without the background."""
    path = files("groupvit.evaluation.benchmarks").joinpath("classes", f"{name}.txt")
    lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    return [line for line in lines if line and line != "background"]


def share(labels: Sequence[str], background: Background | None, image: str) -> float:
    """Share of the pixels of an image whose label differs, [0, 1]."""
    maps = []
    for final_softmax in (True, False):
        segmenter = Segmenter.load("storybook")
        segmenter.network.log_scale.data.fill_(math.log(100))
        protocol = replace(GROUPVIT, final_softmax=final_softmax)
        sure = Segmenter(segmenter.network, protocol=protocol)
        maps.append(sure(image, labels, background=background).label_map)
    return float((maps[0] != maps[1]).mean())


def main() -> None:
    """Print a table of the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", nargs="+", default=IMAGES)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print("| classes | background | image | other label without the softmax |\n|---|---|---|---|")
    for name, has_background in CASES:
        labels = labels_of(name)
        background = Background(threshold=0.95) if has_background else None
        for image in chosen.images:
            found = share(labels, background, image)
            print(f"| {len(labels)} | {has_background} | {image} | {found:.2%} |", flush=True)


if __name__ == "__main__":
    main()
