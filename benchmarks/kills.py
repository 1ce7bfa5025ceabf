"""Kills at random moments: training stays equal to the bit, outputs are old or new, never half.

    python benchmarks/kills.py --kills 200 --outputs 20

`train` (two data workers) is killed with its workers at random moments of a run of some seconds,
and resumed, until so many kills are done; steps, log lines and all weights must equal those of a
run that nothing interrupted. Other commands replace a finished output and are killed meanwhile:
every file, or folder where a folder is the output, must then be the old or the new one, and the
next run must succeed and leave no temporary files.

Commands run in forks of this process, which has imported everything, so that kills hit their work
and not the start of Python. POSIX only.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import torch

from groupvit.cli import COMMANDS, main
from groupvit.training.run_folder import RunFolder

TIMES = ("seconds", "pairs_per_second", "data_seconds", "memory", "waiting", "rate")
"""Parts of the names of log values that depend on time."""
SETTINGS = """
steps = 60
log_every = 1
save_every = 2
keep_last = 60
[data]
shards = ["SHARD"]
batch_size = 8
num_prompts = 2
num_workers = 2
templates = "simple"
[model]
embedding_dim = 32
projector_dim = 64
[model.text]
vocabulary_size = 4096
context_length = 32
dim = 32
depth = 1
num_heads = 2
[model.image]
image_size = 32
patch_size = 8
dim = 32
num_heads = 2
[[model.image.stages]]
depth = 1
num_group_tokens = 8
num_groups = 8
[[model.image.stages]]
depth = 1
num_group_tokens = 4
num_groups = 4
[[model.image.stages]]
depth = 1
"""


class Kill(NamedTuple):
    """End of a command that was to be killed."""

    was_killed: bool
    """False if it had ended before."""
    code: int
    """Exit code, if it had ended."""


def start(arguments: Sequence[str]) -> int:
    """Run a command in a fork that leads its own group of processes; returns its id."""
    process = os.fork()
    if process:
        return process
    code = 99
    try:
        os.setsid()
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        code = main(list(arguments))
    finally:
        os._exit(code)


def run(arguments: Sequence[str]) -> float:
    """Seconds of a command that nothing interrupts."""
    begin = time.monotonic()
    _, status = os.waitpid(start(arguments), 0)
    if status:
        raise SystemExit(f"groupvit {' '.join(arguments)} failed with {status}")
    return time.monotonic() - begin


def kill(arguments: Sequence[str], after: float) -> Kill:
    """Start a command and kill it and its workers after some seconds."""
    process, end = start(arguments), time.monotonic() + after
    while time.monotonic() < end:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return Kill(was_killed=False, code=os.waitstatus_to_exitcode(status))
        time.sleep(0.001)
    with contextlib.suppress(ProcessLookupError):  # the fork may not lead its group yet
        os.killpg(process, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return Kill(was_killed=True, code=0)


def trace(out: Path) -> list[dict[str, object]]:
    """Log lines of a run without what depends on time."""
    lines = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    return [
        {name: value for name, value in line.items() if not any(one in name for one in TIMES)}
        for line in lines
    ]


def digests(out: Path) -> dict[str, str]:
    """Digest of every tensor file of a run's checkpoints."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.glob("step-*/*.safetensors"))
    }


def differing(one: Path, other: Path) -> list[str]:
    """Differences of two runs in words; empty: equal to the bit."""
    found = []
    if trace(one) != trace(other):
        found.append("log lines")
    if digests(one) != digests(other):
        found.append("weights")
    if RunFolder(one).latest().name != RunFolder(other).latest().name:  # type: ignore[union-attr]
        found.append("latest")
    return found


def kill_training(folder: Path, kills: int, rng: random.Random) -> str:
    """Row of the table for training."""
    shard = next((folder / "book" / "pairs").glob("*.tar"))
    settings = folder / "a.toml"
    settings.write_text(SETTINGS.replace("SHARD", str(shard)))
    command = ["train", str(settings), "--out"]
    seconds = run([*command, str(folder / "whole")])
    done, runs, faults = 0, 0, list[str]()
    while done < kills:
        out = folder / f"run-{runs}"
        while True:
            # The longest delay ends a run that begins anew; shorter ones let it advance a little.
            after = rng.uniform(0, seconds) if done < kills else 1e9
            ended = kill([*command, str(out)], after)
            done += ended.was_killed
            if not ended.was_killed:
                faults += [f"exit code {ended.code}"] if ended.code else []
                break
        runs += 1
        faults += differing(folder / "whole", out)
        shutil.rmtree(out)
    return row("train", done, f"{runs} runs equal to the bit", faults)


class Output(NamedTuple):
    """Command whose output is replaced."""

    name: str
    old: list[str]
    """Arguments that write the old output."""
    new: list[str]
    """Arguments that replace it."""
    out: Path
    parts: Callable[[Path], dict[str, str]]
    """Digests of the parts that are whole or not there."""


def contents(out: Path) -> dict[str, str]:
    """Digest of every file."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and ".partial-" not in str(path)
    }


def whole(out: Path) -> dict[str, str]:
    """One digest of all files of a folder; none without the folder."""
    joined = json.dumps(contents(out), sort_keys=True)
    return {".": hashlib.sha256(joined.encode()).hexdigest()} if out.exists() else {}


def images_alone(out: Path) -> dict[str, str]:
    """Digests of files whose content does not depend on time."""
    return {name: one for name, one in contents(out).items() if not name.endswith(TIMED)}


TIMED = (".index", "scores.json", "report.html", "report.md", ".jsonl")
"""Files that hold durations or times; they are only checked by the run that follows."""


def outputs(folder: Path) -> list[Output]:
    """Commands with an old and a new output each."""
    book, out = folder / "book", folder / "out"
    pairs = str(next((book / "pairs").glob("*.tar")))
    labels = ["--labels", "dog", "sky", "grass"]
    storybook = [
        "storybook",
        "--out",
        str(out / "book"),
        "--num",
        "60",
        "--test",
        "6",
        "--workers",
        "1",
    ]
    photos = [str(book / "test" / "images"), "--model", "storybook", "--out", str(out / "images")]
    packed = ["pack", str(book / "test" / "images"), "--out", str(out / "pack")]
    evaluated = ["evaluate", str(book / "test"), "--model", "storybook"]
    evaluated += ["--out", str(out / "evaluate")]
    learned = ["learn-background", pairs, str(out / "layer"), "--model", "storybook"]
    convert = ["convert", "storybook", str(out / "model")]
    more = ["--overwrite"]
    return [
        Output("pack", packed, [*packed, "--image-size=40", *more], out / "pack", images_alone),
        Output("storybook", storybook, [*storybook, "--seed", "1", *more], out / "book", contents),
        Output("convert", convert, [*convert, "--to=huggingface", *more], out / "model", whole),
        Output(
            "learn-background",
            [*learned, "--pairs", "40"],
            [*learned, "--pairs", "60", *more],
            out / "layer",
            whole,
        ),
        Output("evaluate", evaluated, [*evaluated, *more], out / "evaluate", images_alone),
        Output(
            "segment",
            ["segment", *photos, *labels],
            ["segment", *photos, *labels, "boat", *more],
            out / "images",
            contents,
        ),
    ]


def kill_output(one: Output, kills: int, rng: random.Random) -> str:
    """Row of the table for a command that replaces its output."""
    shutil.rmtree(one.out, ignore_errors=True)
    run(one.old)
    old = one.parts(one.out)
    seconds = run(one.new)
    new = one.parts(one.out)
    done, faults = 0, list[str]()
    while done < kills:
        shutil.rmtree(one.out)
        run(one.old)
        done += kill(one.new, rng.uniform(0, seconds)).was_killed
        found = one.parts(one.out)
        faults += [
            f"{name} is neither old nor new"
            for name, digest in found.items()
            if digest not in (old.get(name), new.get(name))
        ]
        faults += [f"{name} is missing" for name in old.keys() & new.keys() - found.keys()]
        run(one.new)
        if one.parts(one.out) != new:
            faults.append("the next run gives something else")
        faults += [f"{path.name} is left over" for path in one.out.parent.rglob(".partial-*")]
    return row(one.name, done, "old or new", faults)


def row(name: str, kills: int, result: str, faults: Sequence[str]) -> str:
    """Row of the table."""
    return f"| {name} | {kills} | {'; '.join(sorted(set(faults))) or result} |"


def table() -> None:
    """Kill everything, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="kills of train")
    parser.add_argument("--outputs", type=int, default=20, help="kills of each other command")
    parser.add_argument("--only", nargs="+", help="commands to kill; default: all")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    rng = random.Random(chosen.seed)
    torch.set_num_threads(1)
    for command in COMMANDS:  # so that forks need not import them
        import_module(f"groupvit.cli.{command.replace('-', '_')}")
    for module in ("training.trainer", "evaluation.evaluate", "evaluation.reports.writing"):
        import_module(f"groupvit.{module}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(
            [
                "storybook",
                "--out",
                str(folder / "book"),
                "--num",
                "200",
                "--test",
                "8",
                "--workers",
                "1",
            ]
        )
        captions = folder / "book" / "test" / "images" / "captions.csv"
        images = sorted(captions.parent.glob("*.png"))
        captions.write_text("".join(f"{path.name},a dog on grass\n" for path in images))
        print("| command | kills | result |\n|---|---|---|", flush=True)
        if chosen.only is None or "train" in chosen.only:
            print(kill_training(folder, chosen.kills, rng), flush=True)
        for one in outputs(folder):
            if chosen.only is None or one.name in chosen.only:
                print(kill_output(one, chosen.outputs, rng), flush=True)


if __name__ == "__main__":
    table()
