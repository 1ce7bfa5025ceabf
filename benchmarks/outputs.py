"""Everything that a checkout computes for some images, as arrays by name; see equality.py.

Runs in the process of a checkout, through the public interface. Where names differ between
commits, the first known one of a list is taken, and modules of the network are found by the names
of their parameters, which do not change on disk.
"""

import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

Arrays = Iterator[tuple[str, np.ndarray]]
LABELS = ("boat|ship", "sea", "sky", "house", "grass")
PROTOCOLS = ("ours", "groupvit", "tcl", "sclip")
FILES = ("examples/harbour.png", "examples/scene.png")
WINDOWS = {"harbour": ("groupvit",), "mosaic": ("groupvit", "tcl", "sclip"), "noise": ("sclip",)}
"""Protocols whose windows are large, and which take seconds, by image."""


def inference() -> Arrays:
    """All outputs of the bundled model, and of the released architecture at random weights."""
    files = {Path(file).stem: np.array(Image.open(file).convert("RGB")) for file in FILES}
    images = files | drawn_images()
    yield from texts("storybook", PROTOCOLS)
    yield from texts("random", ("ours", "tcl"))
    for name, image in images.items():
        yield from embeddings("storybook", name, image)
        yield from label_maps("storybook", name, image, "ours", scores=name not in files)
    for name, protocols in WINDOWS.items():
        for protocol in protocols:
            yield from label_maps("storybook", name, images[name], protocol)
    for size in (224, 448):
        yield from embeddings("random", "mosaic", images["mosaic"], size)
        yield from label_maps("random", "mosaic", images["mosaic"], "ours", size, scores=True)
    yield from embeddings("random", "scene", images["scene"], 224)
    yield from label_maps("random", "strip", images["strip"], "groupvit")
    yield from embeddings("storybook", "mosaic", images["mosaic"], dtype="bfloat16")
    yield from commands(images)


def drawn_images() -> dict[str, np.ndarray]:
    """Images of the same pixels everywhere: noise, and two mosaics of soft colors."""
    generator = np.random.default_rng(18)
    noise = generator.integers(0, 256, (96, 120, 3), dtype=np.uint8)
    found = {"noise": noise}
    for name, cells, size in (("mosaic", (4, 6), (144, 208)), ("strip", (2, 9), (70, 310))):
        colors = generator.integers(0, 256, (*cells, 3), dtype=np.uint8)
        small = Image.fromarray(colors).resize(size[::-1], Image.Resampling.BICUBIC)
        found[name] = np.array(small)
    return found


def known(owner: Any, *names: str) -> Any:
    """Value of the first attribute that there is; a name may lead through attributes by dots.

    Raises:
        AttributeError: There is none of them.
    """
    for name in names:
        value = owner
        for part in name.split("."):
            value = getattr(value, part, AttributeError)
        if value is not AttributeError:
            return value
    raise AttributeError(f"{type(owner).__name__} has none of {', '.join(names)}")


# Nothing is kept between runs, so that PyTorch computes: outputs are compared to the last bit.
os.environ["GROUPVIT_CACHE"] = ""


@cache
def segmenter_of(
    model: str, protocol: str = "ours", short_side: int | None = None, dtype: str = "float32"
) -> Any:
    """Segmenter of a bundled model, and by a protocol with another size if one is given."""
    from groupvit import Segmenter

    found = Segmenter.load(model, protocol=protocol, dtype=dtype)
    if short_side is not None:
        sized = replace(found.protocol, short_side=short_side)
        found = Segmenter.load(model, protocol=sized, dtype=dtype)
    return found


def patchwise(segmenter: Any) -> Any:
    """Protocol of the segmenter in which patches take the words, whatever that setting is called.

    Raises:
        AttributeError: No setting has the choice between segments and something else.
    """
    hints = get_type_hints(type(segmenter.protocol))
    for field in fields(segmenter.protocol):
        choices = [one for kind in get_args(hints[field.name]) for one in get_args(kind)]
        choices += [one for one in get_args(hints[field.name]) if isinstance(one, str)]
        if "segments" in choices:
            other = next(one for one in choices if one != "segments")
            return replace(segmenter.protocol, **{field.name: other})
    raise AttributeError("no setting of the protocol has the choice 'segments'")


def texts(model: str, protocols: Sequence[str]) -> Arrays:
    """Embeddings of words by the templates of protocols."""
    words = [*(word for label in LABELS for word in label.split("|")), "a rather long label"]
    for protocol in protocols:
        embed = known(segmenter_of(model, protocol), "embed_words", "embed_labels", "embed_texts")
        yield f"{model}, text embeddings/{protocol}", embed(words).numpy()


def embeddings(
    model: str,
    name: str,
    image: np.ndarray,
    short_side: int | None = None,
    dtype: str = "float32",
) -> Arrays:
    """Segments, assignments and embeddings of an image."""
    from groupvit import Segmenter

    row = f"{model}{f' at {short_side}' if short_side else ''}"
    row += ", bfloat16" if dtype == "bfloat16" else ""
    segmenter = segmenter_of(model, short_side=short_side, dtype=dtype)
    segmenter = Segmenter(segmenter.model, protocol=patchwise(segmenter), dtype=dtype)
    # Under bfloat16 a segmenter computes with a copy, which hooks do not see.
    hooked = Stages(segmenter.model) if dtype == "float32" else None
    window = known(segmenter.group([image])[0], "windows")[0]
    segments = known(window, "segments", "embedded.segments")
    last = segments if isinstance(segments, Tensor) else segments[-1]
    yield f"{row}, image embeddings/{name}", array(known(window, "embedding", "embedded.image"))
    yield f"{row}, segment embeddings/{name}, last", array(last)
    patches = known(window, "patches", "naming_embeddings")
    yield f"{row}, patch embeddings/{name}", array(patches)
    for stage, assignment in enumerate(known(window, "assignments", "features.assignments")):
        yield f"{row}, assignments/{name}, stage {stage}", array(assignment)
    if hooked:
        for stage, found in enumerate(hooked.embeddings()):
            yield f"{row}, segment embeddings/{name}, stage {stage}", found
    height, width = (side // 32 * 32 for side in image.shape[:2])
    pixels = torch.from_numpy(image[:height, :width].copy()).movedim(-1, 0)[None]
    embed = known(segmenter, "embed_pictures", "embed_images")
    yield f"{row}, image embeddings/{name}, as it is", array(embed(pixels))


class Stages:
    """Segments of every stage, as the grouping blocks of a model give them in its next pass."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._found: list[Tensor] = []
        blocks = [one for name, one in model.named_modules() if name.endswith(".grouping")]
        self._hooks = [block.register_forward_hook(self._note) for block in blocks]

    def _note(self, _module: nn.Module, _inputs: Any, outputs: Any) -> None:
        """Keep the one tensor of an output that is no assignment."""
        tensors = [one for one in outputs if isinstance(one, Tensor) and one.is_floating_point()]
        self._found += [one for one in tensors if not is_assignment(one)]

    @torch.inference_mode()
    def embeddings(self) -> Iterator[np.ndarray]:
        """The segments in the space shared with text."""
        for hook in self._hooks:
            hook.remove()
        model: Any = self._model
        for segments in self._found:
            normed = model.image_encoder.norm(segments)
            try:
                projected = model.image_projector(normed)
            except RuntimeError:  # its batch norms want one axis of rows
                projected = model.image_projector(normed[0])[None]
            norms = projected.norm(dim=-1)
            if not torch.allclose(norms, torch.ones_like(norms), atol=1e-4):
                projected = F.normalize(projected, dim=-1)
            yield array(projected)


def is_assignment(tensor: Tensor) -> bool:
    """True if the shares of every token sum to 1."""
    sums = tensor.sum(dim=1)
    return torch.allclose(sums, torch.ones_like(sums), atol=1e-3)


def label_maps(
    model: str,
    name: str,
    image: np.ndarray,
    protocol: str,
    short_side: int | None = None,
    *,
    scores: bool = False,
) -> Arrays:
    """Label maps with and without background, groups, and scores on request."""
    from groupvit import Background

    segmenter = segmenter_of(model, protocol, short_side)
    row = f"{model}{f' at {short_side}' if short_side else ''}, {protocol}"
    usual = known(segmenter, "default_background", "usual_background")(LABELS)
    backgrounds = {
        "no background": None,
        "usual background": usual,
        "background by words": Background(threshold=usual.threshold, words=("wall", "tree")),
        "own thresholds": Background(threshold=usual.threshold, thresholds={"sea": 0.4}),
    }
    [grouped] = segmenter.group([image])
    for kind, background in backgrounds.items():
        found = segmenter.label(grouped, LABELS, background=background)
        yield f"{row}, label maps/{name}, {kind}", found.label_map
        if scores:
            yield f"{row}, scores/{name}, {kind}", found.scores
    found = segmenter(image, LABELS, top_labels=2)
    yield f"{row}, label maps/{name}, two labels", found.label_map
    for stage in (0, 1):
        yield f"{row}, group maps/{name}, stage {stage}", found.group_map(stage)


def commands(images: dict[str, np.ndarray]) -> Arrays:
    """Label maps that the command line writes, with refined borders and a calibrated background."""
    from groupvit.cli import main

    few = [name for name in images if name != "harbour"]
    variants = {
        "refined": (list(images), ["--refine"]),
        "refined, auto background": (list(images), ["--refine", "--background", "auto"]),
        "refined, tcl": (["mosaic"], ["--refine", "--protocol", "tcl", "--background", "0.5"]),
        "windows": (few, ["--window", "64", "--stride", "40"]),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, image in images.items():
            Image.fromarray(image).save(f"{folder}/{name}.png")
        for kind, (names, options) in variants.items():
            out = Path(folder) / kind
            given = ["segment", *(f"{folder}/{name}.png" for name in names), *options]
            given += ["--model", "storybook", "--labels", *LABELS, "--format", "index"]
            if main([*given, "--out", str(out)]) != 0:
                raise SystemExit(f"groupvit {' '.join(given)} failed")
            for name in names:
                data = io.BytesIO((out / f"{name}.png").read_bytes())
                yield f"storybook, command line/{name}, {kind}", np.array(Image.open(data))


def array(tensor: Tensor) -> np.ndarray:
    """The values on the CPU, bfloat16 as float32."""
    values: np.ndarray = tensor.detach().float().cpu().numpy()
    return values
