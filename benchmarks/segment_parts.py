"""Time of each part of segmenting one image.

    python benchmarks/segment_parts.py photo.jpg --model random --dtype float32 bfloat16

Prints medians of alternating runs [ms]. Text embeddings are cached in use; one row is their time
without the cache.
"""

import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
import tyro
from rich.console import Console
from rich.table import Table

from groupvit import Segmenter, imaging
from groupvit.segmentation.preparation import resize, working_size
from groupvit.segmentation.word_embeddings import WordEmbeddings

VOC = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "table",
    "dog",
    "horse",
    "motorbike",
    "person",
    "plant",
    "sheep",
    "sofa",
    "train",
    "monitor",
]


def parts(segmenter: Segmenter, path: Path, labels: list[str]) -> dict[str, Callable[[], object]]:
    """Parts of segmenting an image by name, each as a function without arguments."""
    image = imaging.read(path)
    height, width, _ = image.shape
    protocol, config = segmenter.protocol, segmenter.model.config.image
    size = working_size(height, width, protocol, config)
    grouped = segmenter.group([image])[0]
    result = segmenter.label(grouped, labels)
    folder = Path(tempfile.mkdtemp())

    def embed_words() -> object:
        with segmenter._computing():
            return WordEmbeddings(segmenter._network).embed(labels, protocol.templates)

    return {
        "read and decode": lambda: imaging.read(path),
        "resize": lambda: resize(image, size, antialias=protocol.antialias),
        "resize and encode": lambda: segmenter.group([image]),
        f"embed {len(labels)} labels, not cached": embed_words,
        "score and label": lambda: segmenter.label(grouped, labels),
        "everything, labels cached": lambda: segmenter(path, labels),
        "write the label map": lambda: result.save(folder / "a.png"),
        "draw the overlay": result.to_overlay,
        "draw the groups": result.to_groups_image,
        "write GeoJSON": lambda: result.save(folder / "a.geojson"),
        "write COCO JSON": lambda: result.save(folder / "a.json"),
        "write the soft scores": lambda: result.save(folder / "a.npz"),
    }


def milliseconds(part: Callable[[], object]) -> float:
    """Milliseconds of one run."""
    start = time.perf_counter()
    part()
    return 1000 * (time.perf_counter() - start)


def main(
    image: tyro.conf.Positional[Path],
    /,
    *,
    model: str = "random",
    dtype: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16"),
    protocol: Literal["ours", "groupvit"] = "ours",
    runs: int = 9,
) -> None:
    """Time the parts of segmenting an image with the 20 classes of PASCAL VOC."""
    columns = []
    for kind in dtype:
        segmenter = Segmenter.load(model, dtype=kind, protocol=protocol, runtime="torch")
        ready = parts(segmenter, image, VOC)
        times: dict[str, list[float]] = {name: [] for name in ready}
        for _ in range(runs + 1):
            for name, part in ready.items():
                times[name].append(milliseconds(part))
        columns.append({name: statistics.median(some[1:]) for name, some in times.items()})
    height, width, _ = imaging.read(image).shape
    table = Table("part [ms]", *dtype, title=f"{width} x {height} pixels, protocol {protocol}")
    for name in columns[0]:
        table.add_row(name, *(f"{column[name]:.1f}" for column in columns))
    console = Console()
    console.print(table)
    console.print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}, median of {runs} runs"
    )


if __name__ == "__main__":
    tyro.cli(main)
