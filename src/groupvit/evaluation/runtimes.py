"""Runtimes of a model compared: time, memory, and agreement of label maps with PyTorch.

Each runtime and precision is measured in a process of its own, one after the other, so that memory
and the time to load are its own.
"""

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8, UInt16

from groupvit import imaging
from groupvit.errors import InputError
from groupvit.exported import folder as folders
from groupvit.exported import writing
from groupvit.exported.runtimes import Choice, has_openvino
from groupvit.photographs.bundled import PHOTOGRAPHS
from groupvit.segmentation import loading
from groupvit.segmentation.protocol import OURS
from groupvit.segmentation.segmenter import Segmenter
from groupvit.weights import catalogue

LabelMap = UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]
LEAST_AGREEMENT: Mapping[str, float] = {"float32": 0.999, "bfloat16": 0.95}
"""Share of pixels with the label of the reference below which label maps are wrong: rounding moves
borders and decides between labels that fit nearly alike, and bfloat16 has 3 digits."""
LARGEST_RATIO = 2.0
"""Share of other labels in bfloat16 that is no mistake either, relative to that of PyTorch."""
LABELS = ("person", "dog", "cat", "car", "tree", "sky", "grass", "water", "building", "table")
"""Labels for a model that does not store its words."""
NUM_LABELS = 12
"""Number of the most frequent words of a model that are its labels here."""
PASSES = 3
"""Passes over the images, of which the median counts."""


class Way(NamedTuple):
    """A way to compute."""

    runtime: Choice
    dtype: str


class Task(NamedTuple):
    """The work, which is the same for every way."""

    images: tuple[Path, ...]
    labels: tuple[str, ...]
    """Empty: the most frequent words of the model."""
    sizes: tuple[int, ...]
    """Lengths that the shorter sides are resized to [pixels]."""


class Timed(NamedTuple):
    """Measurement of a way; label maps are of all images at one size after the other."""

    load: float
    """Time to load the model, from disk or compiled now [s]."""
    first: float
    """Time from then to the first label map [s]."""
    rates: tuple[float, ...]
    """Images per second at each size, one image at a time, decoded before."""
    memory: int
    """Largest memory of the process [bytes]."""
    label_maps: tuple[tuple[LabelMap, ...], ...]


class Row(NamedTuple):
    """A way at one size, compared with the reference."""

    way: Way
    size: int
    load: float
    first: float
    rate: float
    memory: int
    agreement: float
    """Share of all pixels whose label is that of the reference, [0, 1]."""
    least: float
    """Least share that rounding explains."""

    @property
    def is_wrong(self) -> bool:
        """True if rounding does not explain the difference from the reference."""
        return self.agreement < self.least


class Skipped(NamedTuple):
    """A way that is not measured."""

    way: Way
    reason: str


def compare(
    model: str,
    task: Task,
    *,
    revision: str | None = None,
    on_progress: Callable[[int, int], object] | None = None,
) -> tuple[list[Row], list[Skipped]]:
    """Measure all ways that this machine has; the first is the reference.

    The reference is PyTorch in float32, or ONNX Runtime for an exported model.

    Args:
        model: Name of the model.
        task: Images, labels and sizes.
        revision: Branch, tag or commit; for hub ids only.
        on_progress: Called after each way with the number of ways done and of all.

    Raises:
        InputError: There is no such model, or an image cannot be read.
    """
    is_exported = folders.is_exported(Path(model).expanduser())
    ways, skipped = _ways(is_exported=is_exported)
    if not ways:
        raise InputError(f"{model} is an exported model, which {skipped[0].reason}")
    found: dict[Way, Timed] = {}
    needs_graphs = not is_exported and Way("onnxruntime", "float32") in ways
    with _graphs(model, revision, needed=needs_graphs) as graphs:
        for number, way in enumerate(ways, start=1):
            has_graphs = graphs is not None and way.runtime == "onnxruntime"
            source = (str(graphs), None) if has_graphs else (model, revision)
            try:
                found[way] = _in_process(*source, way, task)
            except InputError as error:
                if way == ways[0]:
                    raise
                skipped.append(Skipped(way, str(error)))
            if on_progress is not None:
                on_progress(number, len(ways))
    return list(_rows(list(found), task, found)), skipped


def _ways(*, is_exported: bool) -> tuple[list[Way], list[Skipped]]:
    """Ways to measure, the reference first, and those that this machine lacks."""
    exporting = ("onnx", "onnxscript", "onnxruntime")
    needed = ("onnxruntime",) if is_exported else exporting
    onnx_lacks = [name for name in needed if find_spec(name) is None]
    onnx = Way("onnxruntime", "float32")
    ways = [onnx] if is_exported else [Way("torch", "float32"), Way("torch", "bfloat16"), onnx]
    ways += [Way("openvino", "float32"), Way("openvino", "bfloat16")]
    skipped = []
    if onnx_lacks:
        skipped.append(Skipped(onnx, f"needs {onnx_lacks[0]}: pip install 'groupvit[export]'"))
    if not has_openvino():
        reason = "needs openvino: pip install 'groupvit[openvino]'"
        skipped += [Skipped(way, reason) for way in ways if way.runtime == "openvino"]
    lacking = {one.way for one in skipped}
    return [way for way in ways if way not in lacking], skipped


@contextmanager
def _graphs(model: str, revision: str | None, *, needed: bool) -> Iterator[Path | None]:
    """The model as graphs in a temporary folder."""
    if not needed:
        yield None
        return
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "exported"
        writing.write(folder, catalogue.load(model, revision=revision))
        yield folder


def _in_process(model: str, revision: str | None, way: Way, task: Task) -> Timed:
    """Measure in a new process, with as many threads as this one."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(measure, model, revision, way, task, torch.get_num_threads()).result()


def measure(model: str, revision: str | None, way: Way, task: Task, num_threads: int) -> Timed:
    """Measure a way in this process."""
    torch.set_num_threads(num_threads)
    arrays = [imaging.read(path) for path in task.images]
    start = time.perf_counter()
    loaded = loading.load(
        model, revision=revision, device="cpu", dtype=way.dtype, runtime=way.runtime
    )
    loading_time = time.perf_counter() - start
    labels = task.labels or tuple(loaded.coverage.nouns)[:NUM_LABELS] or LABELS
    first, rates, maps = 0.0, [], []
    for size in task.sizes:
        segmenter = Segmenter(
            loaded.network,
            inference=loaded.inference,
            coverage=loaded.coverage,
            protocol=replace(OURS, short_side=size),
            dtype=way.dtype,
        )
        parsed = segmenter.parse(labels)
        passes = []
        for _ in range(1 + PASSES):  # the first is a warm-up
            begin, found = time.perf_counter(), []
            for array in arrays:
                [grouped] = segmenter.group([array])
                found.append(segmenter.label(grouped, parsed).label_map)
                first = first or time.perf_counter() - begin
            passes.append(time.perf_counter() - begin)
        rates.append(len(arrays) / statistics.median(passes[1:]))
        maps.append(tuple(found))
    return Timed(loading_time, first, tuple(rates), _peak_memory(), tuple(maps))


def _peak_memory() -> int:
    """Largest memory of this process [bytes]; 0 where the system does not count it."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else 1024 * largest


def _rows(ways: Sequence[Way], task: Task, found: Mapping[Way, Timed]) -> Iterator[Row]:
    """All ways at all sizes, compared with the first."""
    for way in ways:
        one = found[way]
        for number, size in enumerate(task.sizes):

            def alike(other: Way, number: int = number) -> float:
                maps, exact = (found[x].label_maps[number] for x in (other, ways[0]))
                return agreement(maps, exact)

            least = LEAST_AGREEMENT[way.dtype]
            peer = Way("torch", way.dtype)
            if way.dtype == "bfloat16" and peer in found:
                least = min(least, 1 - LARGEST_RATIO * (1 - alike(peer)))
            rate = one.rates[number]
            yield Row(way, size, one.load, one.first, rate, one.memory, alike(way), least)


def agreement(maps: Sequence[LabelMap], exact: Sequence[LabelMap]) -> float:
    """Share of all pixels of some images with the same label, [0, 1]."""
    alike = sum(int((one == other).sum()) for one, other in zip(maps, exact, strict=True))
    return alike / sum(one.size for one in exact)


def photographs() -> tuple[Path, ...]:
    """Photographs in the package, for a user without images."""
    return tuple(one.path for one in PHOTOGRAPHS)
