"""Segmentation, versus the port in transformers and a direct implementation of the published one.

All use the same random full-size weights.

The port is used as in its documentation: processor, model with `output_segmentation`, argmax over
the labels. It supports 224 x 224 only, so ours uses this size as well, on an image of 320 x 320.

The direct implementation is the reference of the tests, equal in every pixel: two encoder passes
for each window, and a full-size map for each class. The image of 640 x 480 pixels makes two windows
of 448; text embeddings are cached on both sides.
"""

import io
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoProcessor, GroupViTModel

from benchmarks.contest import Contest, Run, compare, in_turn, markdown, milliseconds, peak
from groupvit import Background, cache
from groupvit.exported.compiling import compiled
from groupvit.model.groupvit import GroupViT
from groupvit.segmentation.network import Network
from groupvit.segmentation.preparation import normalize, resize
from groupvit.segmentation.protocol import GROUPVIT, OURS
from groupvit.segmentation.segmenter import Segmenter
from groupvit.segmentation.word_embeddings import WordEmbeddings
from groupvit.storybook.scene import CLASSES, scene
from groupvit.text.prompts import imagenet_classes
from groupvit.weights import catalogue, hugging_face
from tests.segmentation import reference

SQUARE = replace(OURS, short_side=224)
BEHIND = Background(threshold=GROUPVIT.threshold)
SHAPES = ((1, 224), (8, 224), (1, 448), (8, 448))
"""Batch sizes and image sides [pixels] of the encoder's table."""
WORDS = (21, 60, 171)
PUBLISHED_WORDS = (20, 59, 171)
DTYPES = ("float32", "bfloat16")
COLUMNS = ("", "ours [ms]", "theirs [ms]", "ratio")


class Peer(NamedTuple):
    """The port with the same weights."""

    model: Any
    processor: Any


def peer(segmenter: Segmenter) -> Peer:
    """Port with the weights of a segmenter."""
    with tempfile.TemporaryDirectory() as folder:
        hugging_face.save(Path(folder) / "model", segmenter.model)
        source = Path(folder) / "model"
        return Peer(
            GroupViTModel.from_pretrained(source).eval(), AutoProcessor.from_pretrained(source)
        )


def tables(rounds: int) -> Iterator[tuple[str, str]]:
    """Tables with their names."""
    model = catalogue.load("random").model
    for dtype in DTYPES:
        segmenter = Segmenter(by_default(model, dtype), protocol=SQUARE, dtype=dtype)
        port = peer(segmenter)
        rows = compare(against_port(segmenter, port, noise(320, 320)), rounds)
        yield f"transformers {dtype}", markdown(COLUMNS, rows)
        contests = published(segmenter, noise(480, 640))
        rows = compare(contests, rounds)
        for row, contest in zip(rows, contests, strict=True):
            row.append(f"{100 * np.mean(contest.ours() == contest.theirs()):.2f} %")
        yield f"published {dtype}", markdown((*COLUMNS, "equal pixels"), rows)
    yield "encoder", encoder(model, rounds)
    yield "precisions", precisions()


def by_default(model: GroupViT, dtype: str) -> Network:
    """The network that `Segmenter.load` takes on this machine: compiled by OpenVINO, or the model.

    Raises:
        SystemExit: Nothing can be kept between runs, so that another network would be measured.
    """
    if cache.folder() is None:
        raise SystemExit("GROUPVIT_CACHE is empty; set it to a folder, or unset it")
    return compiled(model, dtype=dtype, forced=False) or model


def mixed(segmenter: Segmenter, run: Run) -> Run:
    """Run under the precision of the segmenter."""
    lower = segmenter.dtype != torch.float32

    def computing() -> object:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=lower):
            return run()

    return computing


def against_port(segmenter: Segmenter, port: Peer, image: Image.Image) -> list[Contest]:
    """Contests with the port: the encoder, and from a JPEG to its label map."""
    found = []
    file = io.BytesIO()
    image.save(file, "jpeg", quality=90)
    for count in (1, 8):
        pixels = torch.randn(count, 3, 224, 224, generator=torch.Generator().manual_seed(count))
        found.append(
            Contest(
                f"image encoder at 224, batch {count}",
                mixed(segmenter, lambda x=pixels: segmenter._network.embed_image(x)),
                mixed(segmenter, lambda x=pixels: port.model.get_image_features(pixel_values=x)),
            )
        )
    for count in WORDS:
        words = list(imagenet_classes()[:count])
        theirs = mixed(segmenter, lambda words=words: by_port(port, decoded(file), words))
        found.append(
            Contest(
                f"JPEG to label map, {count} labels, not cached",
                lambda words=words: anew(segmenter, decoded(file), words),
                theirs,
            )
        )
        found.append(
            Contest(
                f"JPEG to label map, {count} labels, cached by us",
                lambda words=words: segmenter(decoded(file), words).label_map,
                theirs,
            )
        )
    return found


def decoded(file: io.BytesIO) -> Image.Image:
    """Decoded image of a file."""
    file.seek(0)
    return Image.open(file).convert("RGB")


def encoder(model: GroupViT, rounds: int) -> str:
    """Table of our encoder's time and its floor: its operations at the peak rate of this CPU."""
    rows = []
    peaks = {dtype: peak(getattr(torch, dtype)) for dtype in DTYPES}
    for count, side in SHAPES:
        pixels = torch.randn(count, 3, side, side)
        # In bfloat16 under gradients attention is written out, so that all products are counted.
        with (
            FlopCounterMode(display=False) as counter,
            torch.autocast("cpu", torch.bfloat16),
        ):
            model.embed_image(pixels)
        for dtype in DTYPES:
            segmenter = Segmenter(by_default(model, dtype), dtype=dtype)
            run = mixed(segmenter, lambda s=segmenter, x=pixels: s._network.embed_image(x))
            (times,) = in_turn((run,), rounds)
            floor = 1000 * counter.get_total_flops() / peaks[dtype]
            ratio = 1000 * float(np.median(times)) / floor
            name = f"{count} x {side} px, {dtype}"
            rows.append([name, milliseconds(times), f"{floor:.0f}", f"{ratio:.1f}"])
    return markdown(("images", "encoder [ms]", "floor [ms]", "times the floor"), rows)


def precisions(images: int = 20) -> str:
    """Table of the share of pixels with the same label in bfloat16 and float32."""
    rows = []
    for name in ("random", "storybook"):
        loaded = catalogue.load(name).model
        both = [Segmenter(loaded, dtype=dtype) for dtype in DTYPES]
        words = list(CLASSES)
        drawn = [scene(index, split="test", size=160).image for index in range(images)]
        maps = [[one.label_map for one in segmenter(drawn, words)] for segmenter in both]
        alike = [np.mean(exact == lower) for exact, lower in zip(*maps, strict=True)]
        rows.append([name, f"{100 * np.mean(alike):.2f} %"])
    return markdown(("model", "pixels with the same label in bfloat16 as in float32"), rows)


def published(segmenter: Segmenter, image: Image.Image) -> list[Contest]:
    """Contests with the direct implementation, with background."""
    dtype = str(segmenter.dtype).removeprefix("torch.")
    ours = Segmenter(by_default(segmenter.model, dtype), protocol=GROUPVIT, dtype=dtype)
    found = []
    for count in PUBLISHED_WORDS:
        words = list(imagenet_classes()[:count])
        texts = ours.embed_words(words).float()
        found.append(
            Contest(
                f"{count} labels and background",
                lambda words=words: ours(image, words, background=BEHIND).label_map,
                mixed(ours, lambda texts=texts: plainly(segmenter.model, image, texts)),
            )
        )
    return found


def plainly(model: GroupViT, image: Image.Image, texts: torch.Tensor) -> np.ndarray:
    """Label map of the direct implementation."""
    size = image.height, image.width
    factor = GROUPVIT.short_side / min(size)
    scaled = tuple(int(side * factor + 0.5) for side in size)
    pixels = normalize(resize(np.array(image), scaled, antialias=False))[None]
    settings = {"window": GROUPVIT.window, "stride": GROUPVIT.stride, "size": size}
    scores = reference.slide(model, pixels, texts, threshold=BEHIND.threshold, **settings)
    return scores.argmax(dim=0).numpy()


def anew(segmenter: Segmenter, image: Image.Image, words: Sequence[str]) -> np.ndarray:
    """Label map without cached text embeddings."""
    segmenter._words = WordEmbeddings(segmenter._network)
    segmenter._words.KEPT = sys.maxsize  # nor on disk
    return segmenter(image, list(words)).label_map


def by_port(port: Peer, image: Image.Image, words: Sequence[str]) -> np.ndarray:
    """Label map of the port, at the size of the image."""
    texts = [f"a photo of a {word}." for word in words]
    inputs = port.processor(text=texts, images=image, return_tensors="pt", padding=True)
    logits = port.model(**inputs, output_segmentation=True).segmentation_logits
    size = image.height, image.width
    large = torch.nn.functional.interpolate(logits.float(), size, mode="bilinear")
    return large.argmax(dim=1)[0].numpy()


def noise(height: int, width: int, *, seed: int = 0) -> Image.Image:
    """Image of smooth random colors."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
