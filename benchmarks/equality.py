"""Comparison of the numbers that two commits compute, to the bit.

    python benchmarks/equality.py ../before .                   # two checkouts
    python benchmarks/equality.py ../before --out before.npz    # measure one, and keep it
    python benchmarks/equality.py before.npz .                  # kept numbers against a checkout

Each checkout is measured in processes of its own, one after the other, with two threads:

- the bundled model and the released architecture at random weights (at 224 and 448 pixels): image,
  segment (every stage) and patch embeddings, assignments, text embeddings, label maps by every
  protocol with and without background, scores, group maps, and label maps with refined borders
- 50 steps of training by configs/storybook-quick.toml, in bfloat16 as it stands there, on drawn
  scenes; and of three tiny models: the paper's network and losses with hard Gumbel assignments and
  all augmentation, in the released code's form; the same with the paper's form of the losses and
  gradient caching; and soft groups with a learnt background and the sigmoid loss. Every number of
  every line of the log but times and memory, and every weight at the end, are compared.

Settings files change their form between commits: every checkout uses its own storybook-quick.toml,
and of each tiny one the first form that it accepts. Parameters and losses are compared by the names
of today. Numbers are equal to the bit on one machine only.
"""

import argparse
import hashlib
import io
import json
import sys
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import checkouts
import numpy as np
from outputs import Arrays, inference

SCENES, TEST = 500, 20
UNSTEADY = ("images_per_second", "waiting", "memory_gib", "step", "seconds")
"""Numbers of the log that differ from run to run, and the one that orders it."""

COMMON = """
steps = 50
log_every = 1
save_every = 50
ema_decay = 0.9

[data]
shards = ["SHARD"]
nouns = "pattern"
image_size = 64
batch_size = 12
num_workers = 0

[optim]
lr = 1e-3
warmup_steps = 10

[model]
embedding_dim = 64
projector_dim = 96
MODEL

[model.text]
vocabulary_size = 2048
context_length = 32
dim = 64
depth = 2
num_heads = 2

[model.image]
image_size = 64
patch_size = 8
dim = 64
num_heads = 2
IMAGE

[[model.image.stages]]
depth = 2
num_group_tokens = 16
num_groups = 16

[[model.image.stages]]
depth = 1
num_group_tokens = GROUP_TOKENS
num_groups = 8

[[model.image.stages]]
depth = 1

[objective]
OBJECTIVE
"""
SOFT = """stem = "convolutions"
positions = false
pooling = "embeddings"
grouping = "soft"
"""
LEVELS = """caption = "sigmoid"
segment_nouns_weight = 1.0
patch_nouns_weight = 1.0
partial_label_weight = 0.1
segment_distillation_weight = 1.0
background_layer_weight = 0.5
mutual_information_weight = 0.1
every_stage = true
"""
OLD_FORM = {
    'grouping = "soft"\n': """
[model.image.grouping]
assignment = "soft"
similarity = "centred"
look = false
residual = false
mix = false
token_std = 1.0
""",
    "ema_decay": "average_decay",
    "centered": "centred",
    "patch_projector": "token_projector",
    "background_layer": "background",
    "patch_nouns": "token_nouns",
    "partial_label": "naming",
    "segment_distillation": "painting",
    "mutual_information": "grouping",
}
"""Names of settings, and of the losses in the log, at 773ec7b."""
OLD_PARAMETERS = {
    ".grouping.cross_attn.": ".grouping.look.",
    "/patch_projector.": "/token_projector.",
    "/background_layer.": "/background.",
}
"""Parts of the names of parameters at 773ec7b."""


class Tiny(NamedTuple):
    """Differences between the tiny trainings."""

    model: str = ""
    image: str = ""
    objective: str = ""
    group_tokens: int = 12
    top: str = ""
    """Settings outside of any table."""


TINY = {
    "paper, released form": Tiny(),
    "paper, caching in chunks": Tiny(objective='form = "paper"', top="chunk = 5"),
    "levels, background": Tiny(
        model="centered = true\npatch_projector = true\nbackground_layer = true",
        image=SOFT,
        objective=LEVELS,
        group_tokens=8,
    ),
}


def forms(tiny: Tiny, shard: Path) -> Iterator[str]:
    """A settings file in all forms that commits have had, the newest first."""
    text = tiny.top + COMMON.replace("SHARD", str(shard)).replace("MODEL", tiny.model)
    text = text.replace("IMAGE", tiny.image).replace("OBJECTIVE", tiny.objective)
    text = text.replace("GROUP_TOKENS", str(tiny.group_tokens))
    yield 'recipe = "paper"\n' + text.replace("image_size = 64\nbatch_size", "batch_size")
    yield text
    for new, old in OLD_FORM.items():
        text = text.replace(new, old)
    yield text


def measure(source: Path, out: Path) -> None:
    """Write all numbers of a checkout into one file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        here = str(Path(__file__).resolve())
        checkouts.run(source, here, str(source), "--inner", str(folder / "inference.npz"))
        found = dict(np.load(folder / "inference.npz"))
        scenes = checkouts.draw_scenes(source, folder / "scenes", num=SCENES, test=TEST)
        shard = scenes / "pairs" / "storybook-000000.tar"
        found["drawn scenes/digest"] = digest(shard)
        found |= trained(source, "storybook-quick", quick(source, scenes), folder / "quick")
        for kind, tiny in TINY.items():
            settings = accepted(source, tiny, shard, folder / f"{kind}.toml")
            found |= trained(source, kind, [str(settings)], folder / kind)
    np.savez_compressed(out, **found)


def digest(shard: Path) -> np.ndarray:
    """SHA-256 of every file in a tar file, together."""
    total = hashlib.sha256()
    with tarfile.open(shard) as tar:
        for member in tar:
            content = tar.extractfile(member)
            total.update(member.name.encode() + (content.read() if content else b""))
    return np.frombuffer(total.digest(), np.uint8)


def quick(source: Path, scenes: Path) -> list[str]:
    """The settings file of a checkout, and what is other than in it."""
    values: dict[tuple[str, ...], list[str]] = {
        ("--data.shards",): [str(scenes / "pairs" / "storybook-000000.tar")],
        ("--data.batch-size",): ["32"],
        ("--steps",): ["50"],
        ("--optim.warmup-steps",): ["10"],
        ("--log-every",): ["1"],
        ("--save-every",): ["50"],
        ("--evaluate-every",): ["50"],
        ("--evaluate-folder",): [str(scenes / "test")],
    }
    settings = checkouts.SETTINGS
    return [str(settings), *checkouts.train_options(source, settings, values)]


def accepted(source: Path, tiny: Tiny, shard: Path, file: Path) -> Path:
    """The settings file in the first form that a checkout accepts.

    Raises:
        SystemExit: It accepts none.
    """
    refusals = ""
    for text in forms(tiny, shard):
        file.write_text(text, encoding="utf-8")
        done = checkouts.run(source, "-m", "groupvit", "train", str(file), "--help", check=False)
        if done.returncode == 0:
            return file
        refusals += done.stderr
    raise SystemExit(f"{source} accepts no form of {file.name}:\n{refusals}")


def trained(source: Path, kind: str, given: list[str], run: Path) -> dict[str, np.ndarray]:
    """All numbers of a training: its log, and its last weights."""
    from safetensors.numpy import load_file

    checkouts.groupvit(source, "train", *given, "--out", str(run))
    log: dict[str, list[float]] = defaultdict(list)
    for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines():
        for name, value in json.loads(line).items():
            if not name.endswith(UNSTEADY):
                log[name].append(np.nan if value is None else value)
    [weights] = run.rglob("model.safetensors")
    return {
        **{f"training {kind}, log/{name}": np.array(values) for name, values in log.items()},
        **{f"training {kind}, weights/{name}": value for name, value in load_file(weights).items()},
    }


def renamed(name: str) -> str:
    """Name by which commits are compared: that of today."""
    kind, _, part = name.partition("/")
    if kind.endswith(", log") and part.startswith("loss/"):
        losses = {f"loss/{old}": f"loss/{new}" for new, old in OLD_FORM.items()}
        return f"{kind}/{losses.get(part, part)}"
    if kind.endswith(", weights"):
        for new, old in OLD_PARAMETERS.items():
            name = name.replace(old, new)
    return name


class Row(NamedTuple):
    """Arrays of a kind on both sides."""

    kind: str
    num: int
    """Arrays on both sides."""
    num_unequal: int
    difference: float
    """Largest absolute difference of any two numbers."""
    missing: list[str]
    """Arrays that only one side has."""

    @property
    def is_equal(self) -> bool:
        """True if all arrays are on both sides and equal to the bit."""
        return self.num > 0 and not self.num_unequal and not self.missing


def compare(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> list[Row]:
    """A row for everything up to the slash of the names."""
    names: dict[str, list[str]] = defaultdict(list)
    for name in {**before, **after}:
        names[name.split("/")[0]].append(name)
    return [row(kind, some, before, after) for kind, some in names.items()]


def row(
    kind: str, names: list[str], before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]
) -> Row:
    """Compare the arrays of these names."""
    both = [name for name in names if name in before and name in after]
    unequal = [name for name in both if not same(before[name], after[name])]
    largest = max((distance(before[name], after[name]) for name in unequal), default=0.0)
    missing = [f"{'after' if name in before else 'before'}: {name}" for name in names]
    missing = [text for text, name in zip(missing, names, strict=True) if name not in both]
    return Row(kind, len(both), len(unequal), largest, missing)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal values to the bit; not-a-number equals itself."""
    if one.shape != other.shape:
        return False
    if one.dtype.kind != "f" or one.dtype != other.dtype:
        return bool(np.array_equal(one, other))
    return one.tobytes() == other.tobytes()


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Largest absolute difference; infinite between different shapes."""
    if one.shape != other.shape:
        return np.inf
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())


def weights_digest(side: Mapping[str, np.ndarray], kind: str) -> str:
    """SHA-256 of all weights of a training, by their names."""
    total = hashlib.sha256()
    for name in sorted(name for name in side if name.startswith(f"{kind}/")):
        total.update(name.split("/", 1)[1].encode() + np.ascontiguousarray(side[name]).tobytes())
    return total.hexdigest()[:16]


def table(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> bool:
    """Print the comparison in Markdown; returns whether all is equal."""
    rows = compare(before, after)
    print("| what | arrays | unequal | largest difference | equal to the bit |")
    print("|---|---|---|---|---|")
    for one in rows:
        verdict = "yes" if one.is_equal else "**no**"
        print(f"| {one.kind} | {one.num} | {one.num_unequal} | {one.difference:.1e} | {verdict} |")
    print()
    for one in rows:
        if one.kind.endswith(", weights"):
            digests = (weights_digest(side, one.kind) for side in (before, after))
            print("- SHA-256 of {}: before {}, after {}".format(one.kind, *digests))
        for missing in one.missing:
            print(f"- missing {missing}")
    num = sum(one.num for one in rows)
    equal = num > 0 and all(one.is_equal for one in rows)
    print(f"- {num:,} arrays, {'all equal to the bit' if equal else 'NOT ALL EQUAL'}")
    return equal


def numbers(side: Path, folder: Path, name: str) -> dict[str, np.ndarray]:
    """Arrays of a saved file, or measured in a checkout."""
    if side.is_dir():
        measure(side.resolve(), folder / name)
        side = folder / name
    return {renamed(name): values for name, values in np.load(side).items()}


def save(arrays: Arrays, out: Path) -> None:
    """Write arrays into a file at once."""
    data = io.BytesIO()
    np.savez(data, **dict(arrays))
    out.write_bytes(data.getvalue())


def main() -> int:
    """Measure, keep or compare; returns 1 where something is not equal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sides", type=Path, nargs="+", help="one or two checkouts or kept files")
    parser.add_argument("--out", type=Path, help="file for the numbers of the last side (.npz)")
    parser.add_argument("--inner", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inner:
        save(inference(), given.inner)
        return 0
    if len(given.sides) + bool(given.out) < 2:
        parser.error("give two sides, or one with --out")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sides = [numbers(side, folder, f"{at}.npz") for at, side in enumerate(given.sides)]
        if given.out:
            np.savez_compressed(given.out, **sides[-1])
        return 0 if len(sides) < 2 or table(*sides[:2]) else 1


if __name__ == "__main__":
    sys.exit(main())
