"""Time after each optimization, one after another, from the plain implementations to ours."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import matplotlib as mpl
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils._pytree import tree_map

from benchmarks.contest import Run, in_turn, markdown
from benchmarks.learning import PAIRS, drawn_batch, leaving_out, our_step, plain_step
from benchmarks.segmenting import BEHIND, mixed, noise, peer, plainly
from groupvit.model.features import Embedded, Features
from groupvit.model.groupvit import GroupViT
from groupvit.segmentation.protocol import GROUPVIT
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.prompts import imagenet_classes
from groupvit.weights import catalogue

WORDS = 59
DONE, GONE = "#2b6cb0", "#c9d6e8"
"""Colors of the remaining time, and of the time that an optimization saves."""


IMAGE, STEP = "waterfall of an image", "waterfall of a step"
TITLES = {
    IMAGE: f"An image of 640 x 480, {WORDS} labels and background",
    STEP: f"A training step of {PAIRS} pairs with prompts",
}


def tables(measured: dict[str, dict[str, float]]) -> Iterator[tuple[str, str]]:
    """Tables of the chart, with their names."""
    for name, steps in measured.items():
        first = next(iter(steps.values()))
        rows = [[step, f"{1000 * t:.0f}", f"{first / t:.1f}"] for step, t in steps.items()]
        yield name, markdown((TITLES[name], "[ms]", "speedup"), rows)


def measured(rounds: int) -> dict[str, dict[str, float]]:
    """Median seconds after every optimization, for both tasks."""
    model = catalogue.load("random").model.eval()
    found = {}
    for name, runs in {
        IMAGE: segmenting(model),
        STEP: learning(model),
    }.items():
        times = in_turn(list(runs.values()), rounds)
        found[name] = dict(zip(runs, map(median, times), strict=True))
    return found


class Remembering:
    """Network that caches the features of images."""

    def __init__(self, model: GroupViT, *, at_once: Sequence[Tensor] = ()) -> None:
        """Encode the given images in one batch."""
        self._model = model
        self._known: list[tuple[Tensor, Features]] = []
        if at_once:
            features = model.encode_image(torch.cat(list(at_once)))
            self._known = [(x, part_of(features, i)) for i, x in enumerate(at_once)]

    def encode_image(self, images: Tensor) -> Features:
        """Features of one image, cached."""
        for known, features in self._known:
            if torch.equal(known, images):
                return features
        self._known.append((images, self._model.encode_image(images)))
        return self._known[-1][1]

    def embed_image(self, images: Tensor) -> Embedded:
        """Embeddings of one image from its cached features."""
        return self._model.embed_features(self.encode_image(images))

    def __getattr__(self, name: str) -> object:
        """Attribute of the network."""
        return getattr(self._model, name)


def part_of(features: Features, index: int) -> Features:
    """Features of one image of a batch."""
    part: Features = tree_map(lambda x: x[index : index + 1], features)
    return part


class Asking(Remembering):
    """Network that records its input images."""

    def encode_image(self, images: Tensor) -> Features:
        """Features of one image, recorded."""
        features = super().encode_image(images)
        self.asked = [known for known, _ in self._known]
        return features


def segmenting(model: GroupViT) -> dict[str, Run]:
    """Runs from the published pipeline to ours."""
    image, words = noise(480, 640), list(imagenet_classes()[:WORDS])
    exact = Segmenter(model, protocol=GROUPVIT)
    texts = exact.embed_words(words).float()
    noted = Asking(model)
    with torch.inference_mode():
        plainly(noted, image, texts)
    converting = Segmenter(model, protocol=GROUPVIT, dtype="bfloat16")
    lower = Segmenter(model, protocol=GROUPVIT, dtype="bfloat16")
    converting._network = model

    def ours(segmenter: Segmenter) -> Run:
        segmenter.embed_words(words)
        return lambda: segmenter(image, words, background=BEHIND)

    def plain(network: type[Remembering] | None, windows: Sequence[Tensor] = ()) -> Run:
        def run() -> object:
            asked = model if network is None else network(model, at_once=windows)
            return plainly(asked, image, texts)  # type: ignore[arg-type]

        return mixed(exact, run)

    return {
        "published pipeline, unoptimized": plain(None),
        "one encoder pass for each window": plain(Remembering),
        "both windows in one batch": plain(Remembering, noted.asked),
        "scores of segments, upsampled once": ours(exact),
        "bfloat16": ours(converting),
        "weights converted once": ours(lower),
    }


def learning(model: GroupViT) -> dict[str, Run]:
    """Runs from a plain loop around the port to ours."""
    batch, port = drawn_batch(PAIRS), peer(Segmenter(model)).model
    return {
        "plain loop around transformers, float32": plain_step(port, batch, None),
        "bfloat16": plain_step(port, batch, torch.bfloat16),
        "our network and losses": leaving_out(
            "cut", "once", "products", "optimizer", model=model, batch=batch
        ),
        "texts padded to the longest": leaving_out(
            "once", "products", "optimizer", model=model, batch=batch
        ),
        "repeated texts encoded once": leaving_out(
            "products", "optimizer", model=model, batch=batch
        ),
        "attention as two products": leaving_out("optimizer", model=model, batch=batch),
        "fused AdamW": our_step(model, batch, torch.bfloat16),
    }


def draw(measured: dict[str, dict[str, float]], path: Path) -> None:
    """Write a bar chart; the time that each optimization saves is pale."""
    mpl.rcParams.update({"font.size": 9, "svg.hashsalt": "groupvit", "svg.fonttype": "none"})
    rows = [len(steps) for steps in measured.values()]
    figure = Figure(figsize=(10, 0.42 * sum(rows) + 1.2), layout="constrained")
    panels = figure.subplots(len(measured), 1, height_ratios=rows)
    for panel, (name, steps) in zip(panels, measured.items(), strict=True):
        times = [1000 * time for time in steps.values()]
        before = [times[0], *times[:-1]]
        panel.barh(list(steps), before, color=GONE)
        bars = panel.barh(list(steps), times, color=DONE)
        panel.bar_label(bars, [f"{time:.0f} ms" for time in times], padding=4, color="#444")
        panel.invert_yaxis()
        panel.set_title(f"{TITLES[name]}: {times[0] / times[-1]:.1f} times as fast", loc="left")
        panel.set_xlim(0, 1.12 * max(before))
        panel.spines[["top", "right", "bottom"]].set_visible(False)
        panel.set_xticks([])
    figure.savefig(path, metadata={"Date": None}, facecolor="white")
