"""Whole programs from process start: first result, a folder of images, peak memory.

Each side is a complete program in a new process; wall time and peak memory are those that the
operating system reports.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.contest import markdown
from benchmarks.segmenting import noise
from groupvit.text.prompts import imagenet_classes
from groupvit.weights import catalogue, hugging_face

FOLDER = 200
"""Images of the folder."""
OURS = Path(sys.executable).with_name("groupvit")
THEIRS = """
import sys
from pathlib import Path
import numpy as np, torch
from PIL import Image
from transformers import AutoProcessor, GroupViTModel

model, out, words, *files = sys.argv[1:]
model, processor = GroupViTModel.from_pretrained(model), AutoProcessor.from_pretrained(model)
texts = [f"a photo of a {word}." for word in words.split(",")]
for file in files:
    image = Image.open(file).convert("RGB")
    inputs = processor(text=texts, images=image, return_tensors="pt", padding=True)
    with torch.no_grad():
        logits = model(**inputs, output_segmentation=True).segmentation_logits
    logits = torch.nn.functional.interpolate(logits, image.size[::-1], mode="bilinear")
    labels = logits.argmax(dim=1)[0].numpy().astype(np.uint8)
    Image.fromarray(labels).save(Path(out) / f"{Path(file).stem}.png")
"""
"""Script after the documentation of the port, for several files."""
WATCH = """
import os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
if status:
    sys.exit("it failed")
print(time.perf_counter() - start, usage.ru_maxrss)
"""
"""Script that runs a program and prints its seconds and peak memory [kB]. It is needed because the
peak memory of a new process includes that of the process that started it."""


class Cost(NamedTuple):
    """Time and memory of a program."""

    seconds: float
    memory: float
    """Peak memory [bytes]."""


def cost(command: Sequence[str]) -> Cost:
    """Time and memory of a command."""
    start = [sys.executable, "-S", "-c", WATCH, *command]
    found = subprocess.run(start, capture_output=True, text=True, check=False)
    if found.returncode:
        raise RuntimeError(found.stderr)
    seconds, kilobytes = map(float, found.stdout.split())
    return Cost(seconds, 1024 * kilobytes)


def tables(rounds: int) -> Iterator[tuple[str, str]]:
    """Table with a row for each task."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        hugging_face.save(place / "model", catalogue.load("random").model)
        (place / "out").mkdir()
        files = images(place / "images", FOLDER)
        rows = []
        for name, some, words, times in (
            ("one image, 21 labels", files[:1], 21, rounds),
            ("one image, 171 labels", files[:1], 171, rounds),
            (f"a folder of {FOLDER}, 21 labels", files, 21, 1),
        ):
            rows.append([name, *row(place, some, list(imagenet_classes()[:words]), times)])
    columns = ("", "ours", "transformers", "ratio", "our memory", "their memory")
    yield "processes", markdown(columns, rows)


def row(place: Path, files: Sequence[Path], words: Sequence[str], rounds: int) -> list[str]:
    """Both programs in alternating runs, after one warm-up of each if there are several."""
    paths = [str(file) for file in files]
    model, out = str(place / "model"), str(place / "out")
    ours = [
        *(str(OURS), "segment", *paths, "--labels", *words, "--model", model),
        *("--short-side", "224", "--format", "index", "--overwrite", "--out", out),
    ]
    theirs = [sys.executable, "-c", THEIRS, model, out, ",".join(words), *paths]
    runs = [(cost(ours), cost(theirs)) for _ in range(rounds + (rounds > 1))][-rounds:]
    mine, other = ([run[side] for run in runs] for side in (0, 1))
    seconds = [median(one.seconds for one in side) for side in (mine, other)]
    memory = [max(one.memory for one in side) for side in (mine, other)]
    return [
        *(f"{time:.1f} s ({len(files) / time:.1f}/s)" for time in seconds),
        f"**{seconds[1] / seconds[0]:.1f}**",
        *(f"{size / 1e9:.2f} GB" for size in memory),
    ]


def images(folder: Path, count: int) -> list[Path]:
    """Write image files of 640 x 480 pixels."""
    folder.mkdir()
    files = [folder / f"{number:03}.jpg" for number in range(count)]
    for number, file in enumerate(files):
        noise(480, 640, seed=number).save(file, quality=90)
    return files
