"""Exported models versus PyTorch: differences, times and scores.

    python -m benchmarks.exported

It exports the bundled model and an untrained one of the released size, in float32 and int8.
"""

import io
import platform
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

import torch

from benchmarks.contest import Run, in_turn, markdown, milliseconds
from benchmarks.segmenting import DTYPES, SQUARE, anew, by_port, decoded, mixed, noise, peer
from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.evaluation.evaluate import evaluate
from groupvit.exported import writing
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.prompts import imagenet_classes
from groupvit.weights import catalogue

ROUNDS = 9
SCENES = 200
WAYS = (
    ("float32", "onnxruntime", "float32"),
    ("int8", "onnxruntime", "float32"),
    ("float32", "openvino", "float32"),
    ("int8", "openvino", "float32"),
    ("float32", "openvino", "bfloat16"),
)


def main() -> None:
    """Print all tables in Markdown."""
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    with tempfile.TemporaryDirectory() as temporary:
        for name in ("storybook", "random"):
            rows = []
            for precision in ("float32", "int8"):
                found = writing.write(
                    Path(temporary) / f"{name}-{precision}",
                    catalogue.load(name),
                    precision=precision,
                )
                rows += [
                    [f"{name}, {precision}", one.output, f"{one.largest:.1e}", f"{one.cosine:.5f}"]
                    for one in found
                ]
            print(markdown(("model", "output", "largest difference", "least cosine"), rows), "\n")
        print(times(Path(temporary)), "\n")
        print(scores(Path(temporary)), "\n")
        print(against_port(Path(temporary) / "random-float32"))


def segmenters(folder: Path, name: str) -> dict[str, Segmenter]:
    """Segmenters with PyTorch in both precisions, and with every runtime of the exported models."""
    found = {
        dtype: Segmenter.load(name, dtype=dtype, runtime="torch")
        for dtype in ("float32", "bfloat16")
    }
    ours = {f"PyTorch, {dtype}": one for dtype, one in found.items()}
    return ours | {
        f"{runtime}, {precision if dtype == 'float32' else dtype}": Segmenter.load(
            folder / f"{name}-{precision}", runtime=runtime, dtype=dtype
        )
        for precision, runtime, dtype in WAYS
    }


def times(folder: Path) -> str:
    """Time of the image encoder at the released size, for every runtime, batch and size [ms]."""
    ways = segmenters(folder, "random")
    rows: list[list[str]] = [[name] for name in ways]
    for count, side in ((1, 224), (8, 224), (1, 448)):
        pixels = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8)
        runs: list[Run] = [partial(one.embed_images, pixels) for one in ways.values()]
        for row, some in zip(rows, in_turn(runs, ROUNDS), strict=True):
            row.append(milliseconds(some))
    return markdown(("way", "224 px", "8 of 224 px", "448 px"), rows)


def against_port(exported: Path) -> str:
    """Time from a JPEG to its label map at 224 with 21 labels, and speed relative to the port."""
    file, words, rows = io.BytesIO(), list(imagenet_classes()[:21]), []
    noise(320, 320).save(file, "jpeg", quality=90)
    for dtype in DTYPES:
        ours = Segmenter.load("random", protocol=SQUARE, dtype=dtype, runtime="torch")
        port = peer(ours)
        elsewhere = Segmenter.load(exported, protocol=SQUARE, runtime="openvino", dtype=dtype)
        runs: list[Run] = [mixed(ours, lambda port=port: by_port(port, decoded(file), words))]
        for one in (ours, elsewhere):
            runs.append(lambda one=one: one(decoded(file), words).label_map)
            runs.append(lambda one=one: anew(one, decoded(file), words))
        first, *times = in_turn(runs, ROUNDS)
        gains = [f"{milliseconds(some)}, **{median(first) / median(some):.1f}**" for some in times]
        rows.append([dtype, milliseconds(first), *gains])
    columns = ("PyTorch, 21 labels cached", "not cached", "OpenVINO, cached", "not cached")
    return markdown(("", "transformers [ms]", *columns), rows)


def scores(folder: Path) -> str:
    """Scores on drawn scenes, for every runtime."""
    scenes = Scenes(num=SCENES)
    rows = [
        [name, f"{100 * evaluate(one, scenes).scores.miou:.2f}"]
        for name, one in segmenters(folder, "storybook").items()
    ]
    return markdown(("way", f"mIoU on {SCENES} scenes"), rows)


if __name__ == "__main__":
    main()
