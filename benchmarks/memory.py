"""Peak memory of a segmentation: one large image and many words, in every format.

    python benchmarks/memory.py --megapixels 12 --words 150

Every format runs in a process of its own, whose peak is that of Linux (VmHWM), with Python, torch
and the model.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

FORMATS = ("index", "overlay", "groups", "coco", "geojson", "npz")
"""Formats of `groupvit segment`."""


def photo(path: Path, megapixels: float) -> Path:
    """An image of 4:3 with shapes and noise."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    width = round(height * 4 / 3)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = np.stack([np.sin(x / 90), np.sin(y / 70), np.sin((x + y) / 150)], axis=-1)
    noise = np.random.default_rng(0).normal(0, 12, waves.shape).astype(np.float32)
    Image.fromarray((127 + 100 * waves + noise).clip(0, 255).astype(np.uint8)).save(path)
    return path


def peak(image: Path, out: Path, words: int, form: str, model: str) -> float:
    """Peak memory of `groupvit segment` with one format [bytes]."""
    # Not `ru_maxrss`, which includes the memory of the process that started this one.
    code = (
        "import sys, pathlib, re; from groupvit.cli import main; code = main(sys.argv[1:]); "
        "status = pathlib.Path('/proc/self/status').read_text(); "
        "print(re.search(r'VmHWM:\\s+(\\d+)', status)[1]); sys.exit(code)"
    )
    labels = [f"word {number}" for number in range(words)]
    arguments = ["segment", str(image), "--model", model, "--out", str(out), "--format", form]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--labels", *labels],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout.split()[-1]) * 1024


def main() -> None:
    """Print a table of the peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--words", type=int, default=150)
    parser.add_argument("--model", default="storybook")
    parser.add_argument("--formats", nargs="+", default=FORMATS)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        image = photo(Path(folder) / "photo.jpg", chosen.megapixels)
        print("| format | peak memory [GB] |\n|---|---|")
        for form in chosen.formats:
            found = peak(image, Path(folder) / form, chosen.words, form, chosen.model)
            print(f"| {form} | {found / 1e9:.2f} |", flush=True)


if __name__ == "__main__":
    main()
