"""Segmenting, against the port in transformers and the published pipeline done the plain way.

    pip install transformers
    python -m benchmarks.segmenting

All in one process, on the same full-size weights, drawn at random. Both sides run in turn, after a
warm-up; shown are the medians, half the distance between the quartiles, and the ratio of the
medians.

The port is used as its documentation shows it: processor, model with `output_segmentation`, argmax
over the words. It computes at 224 x 224 only, so ours does too, on a picture of 320 x 320 pixels.

The plain pipeline is that which the tests hold ours to, pixel by pixel: two passes of the encoder
for each window, and a map at full size for each class. It is shown a picture of 640 x 480 pixels,
which makes two windows of 448; both sides know the words. The share of pixels that differ is told.
"""

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from transformers import AutoProcessor, GroupViTModel

from groupvit import Background
from groupvit.model.groupvit import GroupViT
from groupvit.segmentation.preparation import normalise, resize
from groupvit.segmentation.protocol import GROUPVIT, OURS
from groupvit.segmentation.segmenter import Segmenter
from groupvit.segmentation.vocabulary import Vocabulary
from groupvit.text.prompts import imagenet_classes
from groupvit.weights import find, hugging_face
from tests.segmentation import reference

SQUARE = replace(OURS, short_side=224)
BEHIND = Background(threshold=GROUPVIT.threshold)
BATCHES = (1, 8)
WORDS = (21, 171)
PUBLISHED_WORDS = (20, 59, 171)
Run = Callable[[], object]


class Peer(NamedTuple):
    """The port with the same weights."""

    model: Any
    processor: Any


class Contest(NamedTuple):
    """The same work, done by both sides."""

    name: str
    ours: Run
    theirs: Run


def peer(segmenter: Segmenter) -> Peer:
    """The port, loaded from a folder that we write."""
    with tempfile.TemporaryDirectory() as folder:
        hugging_face.save(Path(folder) / "model", segmenter.model)
        source = Path(folder) / "model"
        return Peer(
            GroupViTModel.from_pretrained(source).eval(), AutoProcessor.from_pretrained(source)
        )


def contests(segmenter: Segmenter, port: Peer, picture: Image.Image) -> list[Contest]:
    """What is compared."""
    found = []
    for count in BATCHES:
        pixels = torch.randn(count, 3, 224, 224, generator=torch.Generator().manual_seed(count))
        found.append(
            Contest(
                f"image encoder, batch {count}",
                lambda pixels=pixels: segmenter._network.encode_image(pixels),
                lambda pixels=pixels: port.model.get_image_features(pixel_values=pixels),
            )
        )
    for count in WORDS:
        words = list(imagenet_classes()[:count])
        texts = [f"a photo of a {word}." for word in words]
        found.append(
            Contest(
                f"picture to label map, {count} words",
                lambda words=words: anew(segmenter, picture, words),
                lambda texts=texts: by_port(port, picture, texts),
            )
        )
        found.append(
            Contest(
                f"the same, words known to us from a picture before, {count} words",
                lambda words=words: segmenter(picture, words).label_map,
                lambda texts=texts: by_port(port, picture, texts),
            )
        )
    return found


def published(segmenter: Segmenter, picture: Image.Image) -> list[Contest]:
    """Ours against the plain pipeline, with a background."""
    ours = Segmenter(
        segmenter.model, protocol=GROUPVIT, dtype=str(segmenter.dtype).removeprefix("torch.")
    )
    found = []
    for count in PUBLISHED_WORDS:
        words = list(imagenet_classes()[:count])
        texts = ours.embed_words(words).float()
        found.append(
            Contest(
                f"published pipeline, {count} words and background",
                lambda words=words: ours(picture, words, background=BEHIND).label_map,
                lambda texts=texts: plainly(segmenter.model, picture, texts),
            )
        )
    return found


def plainly(model: GroupViT, picture: Image.Image, texts: torch.Tensor) -> np.ndarray:
    """The label map of the plain pipeline."""
    size = picture.height, picture.width
    factor = GROUPVIT.short_side / min(size)
    scaled = tuple(int(side * factor + 0.5) for side in size)
    image = normalise(resize(np.array(picture), scaled, antialias=False))[None]
    settings = {"window": GROUPVIT.window, "stride": GROUPVIT.stride, "size": size}
    scores = reference.slide(model, image, texts, threshold=BEHIND.threshold, **settings)
    return scores.argmax(dim=0).numpy()


def anew(segmenter: Segmenter, picture: Image.Image, words: Sequence[str]) -> np.ndarray:
    """The label map by a segmenter that has never heard of the words."""
    segmenter._vocabulary = Vocabulary(segmenter._network)
    return segmenter(picture, list(words)).label_map


def by_port(port: Peer, picture: Image.Image, texts: Sequence[str]) -> np.ndarray:
    """The label map by the port, at the size of the picture."""
    inputs = port.processor(text=texts, images=picture, return_tensors="pt", padding=True)
    logits = port.model(**inputs, output_segmentation=True).segmentation_logits
    size = picture.height, picture.width
    large = torch.nn.functional.interpolate(logits.float(), size, mode="bilinear")
    return large.argmax(dim=1)[0].numpy()


def milliseconds(run: Run, *, mixed: bool) -> float:
    """One run."""
    autocast = torch.autocast("cpu", torch.bfloat16) if mixed else nullcontext()
    with torch.inference_mode(), autocast:
        start = time.perf_counter()
        run()
        return 1000 * (time.perf_counter() - start)


def told(times: Sequence[float]) -> str:
    """Median and half the distance between the quartiles."""
    low, middle, high = statistics.quantiles(times, n=4)
    return f"{middle:.0f} ± {(high - low) / 2:.0f}"


def table(title: str, contests: Sequence[Contest], runs: int, *, mixed: bool) -> Table:
    """Every contest, run so often after a warm-up."""
    result = Table("", "ours [ms]", "theirs [ms]", "ratio", title=title)
    for contest in contests:
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(runs + 2):
            for run, some in zip((contest.ours, contest.theirs), times, strict=True):
                some.append(milliseconds(run, mixed=mixed))
        ours, theirs = (some[2:] for some in times)
        ratio = statistics.median(theirs) / statistics.median(ours)
        result.add_row(contest.name, told(ours), told(theirs), f"{ratio:.1f}")
    return result


def noise(height: int, width: int) -> Image.Image:
    """A picture of smooth colours."""
    coarse = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def main() -> None:
    """Both precisions, each with two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    given = parser.parse_args()
    console = Console()
    model = find.load("random").model
    for dtype in ("float32", "bfloat16"):
        segmenter = Segmenter(model, protocol=SQUARE, dtype=dtype)
        mixed = dtype == "bfloat16"
        square, wide = noise(320, 320), noise(480, 640)
        against_port = contests(segmenter, peer(segmenter), square)
        console.print(table(f"transformers, {dtype}", against_port, given.runs, mixed=mixed))
        plain = published(segmenter, wide)
        console.print(table(f"published pipeline, {dtype}", plain, given.runs, mixed=mixed))
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            same = [(one.ours() == one.theirs()).mean() for one in plain]
        console.print(f"pixels alike: {', '.join(f'{100 * share:.2f} %' for share in same)}")
    console.print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()} "
        f"{torch.backends.cpu.get_cpu_capability()}, {given.runs} runs each"
    )


if __name__ == "__main__":
    main()
