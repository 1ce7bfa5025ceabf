"""Long fuzzing with fixed seeds: every damaged file is read, or refused in one sentence.

    python -m benchmarks.fuzz --seconds 600

Each kind of file has an equal share of the CPU time. A file that is neither read nor refused counts
as a traceback, one that takes more than 10 seconds of CPU time, or two minutes, as a hang; both are
printed with the number from which `--only KIND --first NUMBER` makes the file again. Memory is
limited to 7 GiB, so that too large allocations are tracebacks. The tests have a short form
(tests/test_fuzzing.py). POSIX only.
"""

import argparse
import io
import json
import random
import resource
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from groupvit import imaging
from groupvit.cli import background
from groupvit.config import from_values, load_toml, to_values
from groupvit.data import decoding, index
from groupvit.data.config import DataConfig
from groupvit.data.readers.text_table import Layout, from_text_table
from groupvit.data.shards import Shards
from groupvit.errors import InputError
from groupvit.evaluation import compare
from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.journal import Journal
from groupvit.model.config import GroupViTConfig
from groupvit.model.groupvit import GroupViT
from groupvit.text.label_file import one_per_line, read_lines
from groupvit.text.prompts import parse_labels
from groupvit.training import checkpoints, log
from groupvit.training.config import TrainingConfig
from groupvit.training.run_folder import CONFIG_FILE, FORMAT, LOG_FILE, RunFolder
from groupvit.weights import catalogue, checkpoint
from groupvit.weights.checkpoint import Origin
from groupvit.weights.layouts import ORIGINAL
from tests.data.pairs import sample, write_tar
from tests.evaluations import COUNTS, MEASUREMENT, summed_of
from tests.mutations import HOSTILE_VALUES, json_mutations, mutations

CPU_SECONDS, SECONDS = 10, 120
"""Longest CPU time for one file, and longest time."""
LARGEST = 7 * 2**30
"""Memory of the process [bytes]."""
SENTENCE = 5000
"""Longest refusal [characters]."""
SETTINGS = """
steps = 9
out = "runs/a"
seed = 0
[data]
shards = ["a.tar"]
batch_size = 4
templates = "simple"
[optim]
lr = 1e-3
beta1 = 0.9
warmup_steps = 2
[objective]
caption_weight = 1.0
[model]
embedding_dim = 32
[model.text]
dim = 32
depth = 1
[model.image]
image_size = 32
stem = "patches"
[[model.image.stages]]
depth = 1
num_group_tokens = 8
num_groups = 8
[[model.image.stages]]
depth = 1
"""
TINY = {
    "embedding_dim": 32,
    "projector_dim": 64,
    "text": {"vocabulary_size": 512, "context_length": 8, "dim": 64, "depth": 1, "num_heads": 1},
    "image": {
        "image_size": 16,
        "patch_size": 8,
        "dim": 64,
        "num_heads": 1,
        "stages": [
            {"depth": 1, "num_group_tokens": 4, "num_groups": 4},
            {"depth": 1, "num_group_tokens": 2, "num_groups": 2},
            {"depth": 1},
        ],
    },
}

Read = Callable[[Path], object]
Change = Callable[[bytes, int], Iterator[bytes]]
"""A few changed contents, from a sound one and a seed."""


class Kind(NamedTuple):
    """Kind of file."""

    file: str
    """Its name."""
    sound: bytes
    """Content that is read."""
    read: Read
    """Reads such a file, and uses what it holds."""
    change: Change


class HangError(BaseException):
    """The time for one file is over."""


def bytes_of(sound: bytes, seed: int) -> Iterator[bytes]:
    """Change bytes."""
    return mutations(sound, seed, 20)


def values_of(sound: bytes, seed: int) -> Iterator[bytes]:
    """Change bytes and values of JSON."""
    return json_mutations(sound.decode(), seed, 20)


def settings_of(sound: bytes, seed: int) -> Iterator[bytes]:
    """Change bytes and values of TOML."""
    yield from mutations(sound, seed, 10)
    rng, lines = random.Random(seed), sound.decode().strip().splitlines()
    for _ in range(10):
        number = rng.choice([n for n, line in enumerate(lines) if " = " in line])
        name = lines[number].split(" = ")[0]
        changed = [*lines[:number], f"{name} = {rng.choice(HOSTILE_VALUES)}", *lines[number + 1 :]]
        yield "\n".join(changed).encode()


def second_line_of(sound: bytes, seed: int) -> Iterator[bytes]:
    """Change bytes, and values of the JSON in the second line."""
    first, second = sound.splitlines()
    for changed in json_mutations(second.decode(), seed, 14):
        yield first + b"\n" + changed.replace(b"\n", b"") + b"\n"
    yield from mutations(sound, seed, 6)


def as_bytes(values: object) -> bytes:
    """Values as JSON."""
    return json.dumps(values).encode()


def tables(folder: Path, model: GroupViT) -> dict[str, Kind]:
    """Kinds of settings and weights."""
    whole = folder / "whole"
    checkpoint.save(whole, model, Origin(source="fuzz"))
    original = {"model": ORIGINAL.from_ours(model.state_dict()), "epoch": 3}
    original["config"] = {"model": {"img_encoder": {"num_heads": 1}}}
    (folder / "a.toml").write_text(SETTINGS)
    settings = load_toml(TrainingConfig, folder / "a.toml")
    run = {"format": FORMAT, "settings": to_values(settings)}
    progress = to_values(checkpoints.Progress(global_batch_size=4, step=3))
    lines = "".join(json.dumps({"step": step, "loss": 0.5}) + "\n" for step in range(5))

    def load(path: Path) -> object:
        other = "config.json" if path.name != "config.json" else checkpoint.WEIGHTS_FILE
        (path.parent / other).write_bytes((whole / other).read_bytes())
        return catalogue.load(path.parent)

    def run_settings(path: Path) -> object:
        return RunFolder(path.parent).settings()

    def counters(path: Path) -> object:
        return checkpoints.read_progress(path.parent)

    config, weights = "config.json", checkpoint.WEIGHTS_FILE
    tensors, old = saved(original, zipped=True), saved(original, zipped=False)
    return {
        "settings of training": Kind(
            "a.toml", SETTINGS.encode(), lambda path: load_toml(TrainingConfig, path), settings_of
        ),
        "config.json of models": Kind(config, (whole / config).read_bytes(), load, values_of),
        "safetensors": Kind(weights, (whole / weights).read_bytes(), load, bytes_of),
        "pickles": Kind("a.pth", tensors, catalogue.load, bytes_of),
        "pickles before torch 1.6": Kind("a.pth", old, catalogue.load, bytes_of),
        "config.json of runs": Kind(CONFIG_FILE, as_bytes(run), run_settings, values_of),
        "training.json": Kind(checkpoints.COUNTERS_FILE, as_bytes(progress), counters, values_of),
        "log.jsonl": Kind(LOG_FILE, lines.encode(), lambda path: log.trim(path, 3), bytes_of),
    }


def saved(content: object, *, zipped: bool) -> bytes:
    """Bytes of a file that `torch.save` writes."""
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def data(folder: Path) -> dict[str, Kind]:
    """Kinds of shards, tables and images."""
    whole = write_tar(folder / "b.tar", [part for n in range(3) for part in sample(n)])
    index.prepare([whole], "pattern")
    shard, stored = whole.read_bytes(), index.index_path(whole).read_bytes()
    table = 'image,caption\na.jpg,"a dog, a cat"\nb.jpg,a bird\n'

    def samples(path: Path) -> None:
        (found,) = index.prepare([path], "pattern")
        reader = Shards([found]).reader(0)
        for number in range(found.num_samples):
            reader.captions(number)
            decoded(reader.image(number))

    def with_index(path: Path) -> None:
        path.with_suffix("").write_bytes(shard)
        samples(path.with_suffix(""))

    def from_table(path: Path) -> object:
        return from_text_table(path, path.parent, Layout("image", "caption"))

    found = {
        "shards": Kind("a.tar", shard, samples, bytes_of),
        "indexes of shards": Kind("a.tar.index", stored, with_index, bytes_of),
        "tables of captions": Kind("a.csv", table.encode(), from_table, bytes_of),
    }
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    for kind in ("JPEG", "PNG", "WEBP"):
        found[f"images: {kind}"] = Kind("a", image_bytes(pixels, kind), image, bytes_of)
    mask = image_bytes(pixels[..., 0] % 2, "PNG")
    return found | {"masks": Kind("masks/a.png", mask, masked, bytes_of)}


def image_bytes(pixels: np.ndarray, kind: str) -> bytes:
    """Bytes of an image file with an EXIF orientation."""
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6 if pixels.ndim == 3 else 1
    Image.fromarray(pixels).save(file, kind, exif=exif)
    return file.getvalue()


def decoded(content: bytes) -> object:
    """Image of a shard, as training reads it."""
    return decoding.decode(content, DataConfig(), random.Random(0), image_size=16)


def image(path: Path) -> None:
    """Read an image as segmentation and as training do."""
    imaging.read(path)
    imaging.file_orientation(path)
    decoded(path.read_bytes())


def masked(path: Path) -> object:
    """Read the mask of a benchmark."""
    folder = path.parent.parent
    (folder / "images").mkdir(exist_ok=True)
    Image.new("RGB", (60, 40)).save(folder / "images" / "a.png")
    (folder / "classes.txt").write_text("sky\ndog\n")
    return read_folder(folder)[0]


def texts() -> dict[str, Kind]:
    """Kinds of labels, backgrounds and evaluations."""
    values = {"threshold": 0.5, "thresholds": {"dog": 0.4}, "certainty": "score", "miou": None}

    def labels(path: Path) -> object:
        lines = read_lines(path)
        parse_labels(one_per_line(lines, path))
        return parse_labels(list(filter(None, lines)))

    return {
        "label files": Kind("a.txt", b'dog|puppy\n"salt, pepper"\nsky\n\n', labels, bytes_of),
        "background files": Kind("a.json", as_bytes(values), background.read, values_of),
    }


def evaluations() -> dict[str, Kind]:
    """Kinds of journals and stored scores."""
    scored = summed_of(COUNTS)
    lines = as_bytes(MEASUREMENT.to_values() | {"data": "d"}), as_bytes(COUNTS.to_values())

    def read(path: Path) -> None:
        with Journal(path.parent, MEASUREMENT, "d") as journal:
            for one in journal.done:
                summed_of(one)

    return {
        "journals": Kind("images-0.jsonl", b"\n".join([*lines, b""]), read, second_line_of),
        "stored scores": Kind(
            "scores.json", as_bytes({"model": "a"} | scored.to_values()), compare.read, values_of
        ),
    }


@contextmanager
def limited() -> Iterator[None]:
    """Raise `HangError` when the time for a file is over."""

    def stop(_: int, __: FrameType | None) -> None:
        raise HangError

    timers = (
        (signal.ITIMER_PROF, signal.SIGPROF, CPU_SECONDS),
        (signal.ITIMER_REAL, signal.SIGALRM, SECONDS),
    )
    for timer, number, seconds in timers:
        signal.signal(number, stop)
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for timer, _, _ in timers:
            signal.setitimer(timer, 0)


def outcome(read: Read, path: Path, content: bytes) -> str:
    """Result of a file: read, refused, hang, or the error of a traceback."""
    path.write_bytes(content)
    try:
        with limited():
            read(path)
    except (InputError, decoding.DamagedError) as error:
        return "refused" if len(str(error)) < SENTENCE else "refusal that is too long"
    except HangError:
        return "hang"
    except Exception as error:  # any other error is what is sought
        return f"{type(error).__name__}: {error!s:.80}"
    return "read"


def attack(name: str, kind: Kind, seconds: float, first: int) -> str:
    """Row of the table for a kind of file."""
    counts, found, end = dict.fromkeys(("read", "refused", "hang"), 0), [], time.process_time()
    end += seconds
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / kind.file
        path.parent.mkdir(exist_ok=True)
        if (result := outcome(kind.read, path, kind.sound)) != "read":
            raise SystemExit(f"{name}: the sound file is not read: {result}")
        for seed in count(first):
            for content in kind.change(kind.sound, seed):
                result = outcome(kind.read, path, content)
                counts[result] = counts.get(result, 0) + 1
                if result not in ("read", "refused"):
                    found.append(f"{name}, --first {seed}: {result}")
            if time.process_time() > end:
                break
    for one in sorted(set(found))[:20]:
        print(f"<!-- {one} -->", flush=True)
    others = len(found) - counts["hang"]
    return (
        f"| {name} | {sum(counts.values()):,} | {counts['read']:,} | {counts['refused']:,} | "
        f"{counts['hang']} | {others} |"
    )


def main() -> None:
    """Attack every kind, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="CPU time")
    parser.add_argument("--only", nargs="+", help="kinds of files; default: all")
    parser.add_argument("--first", type=int, default=1000, help="first seed")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (LARGEST, resource.getrlimit(resource.RLIMIT_AS)[1]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = GroupViT(from_values(GroupViTConfig, TINY, where="fuzz"))
        kinds = tables(folder, model) | data(folder) | texts() | evaluations()
        kinds = {name: kind for name, kind in kinds.items() if name in (chosen.only or kinds)}
        print("| files | tried | read | refused in one sentence | hangs | tracebacks |")
        print("|---|---|---|---|---|---|", flush=True)
        for name, kind in kinds.items():
            print(attack(name, kind, chosen.seconds / len(kinds), chosen.first), flush=True)


if __name__ == "__main__":
    main()
