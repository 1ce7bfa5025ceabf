"""Kills at random moments: training stays equal to the bit, outputs are old or new, never half.

    python benchmarks/kills.py --kills 200 --outputs 20

`train` (two data workers) is killed with its workers at random moments, and resumed, until so many
kills are done; every line of its log, and every byte of its checkpoints, must equal those of a run
that nothing interrupted. Other commands replace a finished output and are killed meanwhile: every
part of it must then be the old or the new one. After each kill the command runs again, which must
give the new output, and leave no temporary files.

Commands run in forks of this process, which has run each of them once, so that kills interrupt
their work and not the start of Python. Ctrl-C and SIGTERM print the row as far as it is. POSIX
only.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from groupvit.cli import main
from groupvit.training.run_folder import RunFolder

TIMES = ("seconds", "per_second", "memory_gib", "waiting")
"""Parts of the names of values that depend on time."""
TIMED_FILES = (".index", ".html", ".md", ".jsonl")
"""Suffixes of files that hold times; the next run checks them."""
SETTINGS = """
steps = 40
log_every = 1
save_every = 2
keep_last = 3
[optim]
warmup_steps = 2
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

RUN = Path("whole/run")
"""Run that nothing interrupts; others have its last name, which checkpoints hold."""
Digests = dict[str, str]
"""Digest of each part of an output that is whole or missing."""


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


def warm_up(arguments: Sequence[str]) -> None:
    """Run a command in this process, so that forks of it need to import nothing.

    Raises:
        SystemExit: It failed.
    """
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        if main(list(arguments)):
            raise SystemExit(f"groupvit {' '.join(arguments)} failed: {text.getvalue()}")


def run(arguments: Sequence[str]) -> float:
    """Duration of a command that nothing interrupts [seconds].

    Raises:
        SystemExit: It failed.
    """
    begin = time.monotonic()
    _, status = os.waitpid(start(arguments), 0)
    if status:
        raise SystemExit(f"groupvit {' '.join(arguments)} failed with {status}")
    return time.monotonic() - begin


def kill(arguments: Sequence[str], after: float) -> int | None:
    """Start a command, and kill it and its workers after some seconds.

    Returns:
        None, or the exit code if the command ended before.
    """
    process, end = start(arguments), time.monotonic() + after
    while time.monotonic() < end:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    for send in (os.killpg, os.kill):  # the fork may not lead its group yet
        with contextlib.suppress(ProcessLookupError):
            send(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


def digest(content: bytes) -> str:
    """SHA-256 of some bytes."""
    return hashlib.sha256(content).hexdigest()


def without_times(values: dict[str, Any]) -> dict[str, Any]:
    """Values that do not depend on time."""
    return {name: one for name, one in values.items() if not any(word in name for word in TIMES)}


def run_digests(out: Path) -> Digests:
    """Digests of every line of a run's log, and of every file of its checkpoints."""
    lines = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    found = {f"line {line['step']}": digest(repr(without_times(line)).encode()) for line in lines}
    found["number of lines"] = str(len(found))
    for path in sorted(out.glob("step-*/*")):
        found[str(path.relative_to(out))] = digest(path.read_bytes())
    return found | {"latest": str(RunFolder(out).latest().name)}  # type: ignore[union-attr]


def leftovers(folder: Path) -> list[str]:
    """Temporary files and folders that nothing removed."""
    return [
        f"{path.name[18:] or path.name} is left over"
        for pattern in (".partial-*", ".moving-*")
        for path in folder.rglob(pattern)
    ]


def kill_training(folder: Path, seconds: float, kills: int, rng: random.Random) -> str:
    """Row of the table for training, which takes so many seconds."""
    out = folder / "killed" / RUN.name
    command = ["train", str(folder / "a.toml"), "--out", str(out)]
    expected = run_digests(folder / RUN)
    done, runs, faults = 0, 0, list[str]()
    while done < kills:
        code = None
        while code is None:
            # Short delays leave little progress, long ones much; the last run is left in peace.
            code = kill(command, rng.uniform(0, seconds) if done < kills else 600)
            done += code is None
        runs += 1
        faults += [f"exit code {code}"] if code else []
        found = run_digests(out)
        names = [name for name in expected | found if expected.get(name) != found.get(name)]
        faults += [f"{name} differs" for name in names] + leftovers(folder)
        shutil.rmtree(out)
    return row("train", done, f"{runs} runs equal to the bit", faults)


class Output(NamedTuple):
    """Command whose output is replaced."""

    old: list[str]
    """Arguments that write the old output."""
    new: list[str]
    """Arguments that replace it."""
    out: Path
    parts: Callable[[Path], Digests]
    """Digests of the parts that are whole or not there."""


def files(out: Path) -> Digests:
    """Digest of every file whose content does not depend on time."""
    return {
        str(path.relative_to(out)): digest(path.read_bytes())
        for path in sorted(out.rglob("*"))
        if path.is_file()
        and path.suffix not in TIMED_FILES
        and not any(part.startswith(".partial-") for part in path.parts)
    }


def whole(out: Path) -> Digests:
    """One digest of all files of a folder; none without the folder."""
    return {"folder": digest(repr(files(out)).encode())} if out.exists() else {}


def scores(out: Path) -> Digests:
    """Digest of the scores of an evaluation."""
    path = out / "scores.json"
    values = without_times(json.loads(path.read_text())) if path.exists() else {}
    return {path.name: digest(repr(values).encode())} if values else {}


def outputs(folder: Path) -> dict[str, Output]:
    """Commands with an old and a new output each."""
    book = folder / "book"
    pairs, images = str(next((book / "pairs").glob("*.tar"))), str(book / "test" / "images")
    again = "--overwrite"

    def output(name: str, parts: Callable[[Path], Digests], *arguments: str) -> Output:
        """Arguments before `--` are common, those after it of the new output alone."""
        out, split = folder / name, arguments.index("--")
        common = [str(out) if one == "OUT" else one for one in arguments[:split]]
        return Output([name, *common], [name, *common, *arguments[split + 1 :], again], out, parts)

    model = ("--model", str(folder / RUN))
    drawn = ("--out", "OUT", "--num", "40", "--shard-size", "10", "--test", "6", "--workers", "1")
    learned = (pairs, "OUT", *model, "--pairs")
    found = {
        "pack": output(
            "pack", whole, images, "--out", "OUT", "--shard-size", "3", "--", "--image-size", "40"
        ),
        "storybook": output("storybook", whole, *drawn, "--", "--seed", "1"),
        "convert": output("convert", whole, str(folder / RUN), "OUT", "--", "--half"),
        "learn-background": output("learn-background", whole, *learned, "20", "--"),
        "evaluate": output(
            "evaluate", scores, str(book / "test"), *model, "--out", "OUT", "--", "--refine"
        ),
        "segment": output(
            "segment", files, images, *model, "--out", "OUT", "--labels", "dog", "--", "sky"
        ),
    }
    more = found["learn-background"]
    found["learn-background"] = more._replace(
        new=["30" if one == "20" else one for one in more.new]
    )
    return found


def kill_output(name: str, one: Output, kills: int, rng: random.Random) -> str:
    """Row of the table for a command that replaces its output."""
    warm_up(one.old)
    saved, old = one.out.with_name("saved"), one.parts(one.out)
    shutil.copytree(one.out, saved)
    seconds = run(one.new)
    new = one.parts(one.out)
    states, faults = Counter[str](), list[str]()
    faults += [] if old != new else ["old and new output are the same, so that nothing is tested"]
    with contextlib.suppress(KeyboardInterrupt):
        kill_often(one, saved, Replaced(old, new, seconds), kills, rng, states, faults)
    shutil.rmtree(saved)
    result = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
    return row(name, states.total(), result, faults)


class Replaced(NamedTuple):
    """Digests of both outputs, and the duration of the command [seconds]."""

    old: Digests
    new: Digests
    seconds: float


def kill_often(
    one: Output,
    saved: Path,
    replaced: Replaced,
    kills: int,
    rng: random.Random,
    states: Counter[str],
    faults: list[str],
) -> None:
    """Kill a command so many times; counts the states of its output, and lists the faults."""
    old, new, seconds = replaced
    while states.total() < kills:
        shutil.rmtree(one.out)
        shutil.copytree(saved, one.out)
        late = rng.random() < 0.7  # most of the kills where outputs are written
        code = kill(one.new, rng.uniform(0.8 * seconds if late else 0, 1.05 * seconds))
        if code is not None:
            faults += [f"exit code {code}"] if code else []
            continue
        state, found = state_of(one, old, new)
        states[state] += 1
        faults += found
        seconds = run(one.new)
        faults += [] if one.parts(one.out) == new else ["the next run gives something else"]
        faults += leftovers(folder=one.out.parent)


def state_of(one: Output, old: Digests, new: Digests) -> tuple[str, list[str]]:
    """State of an output after a kill, and the parts of it that are neither old nor new."""
    found = one.parts(one.out)
    if found in (old, new):
        return "old" if found == old else "new", []
    if list(one.out.glob(".moving-*")):
        return "being replaced, which readers refuse and the next run completes", []
    faults = [
        f"{name} is neither old nor new"
        for name, value in found.items()
        if value not in (old.get(name), new.get(name))
    ]
    faults += [f"{name} is missing" for name in (old.keys() & new.keys()) - found.keys()]
    return "old and new files", faults


def row(name: str, kills: int, result: str, faults: Iterable[str]) -> str:
    """Row of the table."""
    counted = Counter(faults)
    found = "; ".join(f"{number} x {fault}" for fault, number in sorted(counted.items()))
    return f"| {name} | {kills} | {result} | {found or 0} |"


def prepare(folder: Path) -> float:
    """Draw the data, and train the model.

    Returns:
        Duration of the training [seconds].
    """
    torch.set_num_threads(1)
    drawn = ["--num", "200", "--test", "8", "--workers", "1"]
    warm_up(["storybook", "--out", str(folder / "book"), *drawn])
    images = folder / "book" / "test" / "images"
    rows = "".join(f"{path.name},a dog on grass\n" for path in sorted(images.glob("*.jpg")))
    (images / "captions.csv").write_text("image,caption\n" + rows)
    shard = next((folder / "book" / "pairs").glob("*.tar"))
    (folder / "a.toml").write_text(SETTINGS.replace("SHARD", str(shard)))
    train = ["train", str(folder / "a.toml"), "--out"]
    warm_up([*train, str(folder / "short"), "--data.num-workers=0", "--steps=2"])
    return run([*train, str(folder / RUN)])


def table() -> None:
    """Kill everything, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="kills of train")
    parser.add_argument("--outputs", type=int, default=20, help="kills of each other command")
    parser.add_argument("--only", nargs="+", help="commands to kill; default: all")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    rng = random.Random(chosen.seed)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = prepare(folder)
        print("| command | kills | afterwards | faults |\n|---|---|---|---|", flush=True)
        if chosen.only is None or "train" in chosen.only:
            print(kill_training(folder, seconds, chosen.kills, rng), flush=True)
        for command, output in outputs(folder).items():
            if chosen.only is None or command in chosen.only:
                print(kill_output(command, output, chosen.outputs, rng), flush=True)


if __name__ == "__main__":
    table()
