"""Kill a run of 40 shards by 4 workers again and again, and compare its results with a whole run.

    python benchmarks/bulk_kills.py --kills 200

Half of the signals (SIGKILL) end one process that the command has started, a worker or the server
that forks them, half the command itself with all of these; it is then repeated. When all shards are
done before the last signal, the next run begins in a new folder. Prints the number of signals, of
images, and of results that differ from those of a run that nothing interrupted; the exit code is 1
if there are any. `--output` selects the kind of results.
"""

import argparse
import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from groupvit import read_masks
from groupvit.model.config import (
    GroupViTConfig,
    ImageEncoderConfig,
    StageConfig,
    TextEncoderConfig,
)
from groupvit.model.groupvit import GroupViT
from groupvit.weights import checkpoint
from groupvit.weights.checkpoint import Origin

SHARDS, IMAGES, WORKERS = 40, 4, 4
SMALL = GroupViTConfig(
    image=ImageEncoderConfig(
        image_size=32,
        patch_size=8,
        dim=32,
        num_heads=2,
        stages=(StageConfig(depth=1, num_group_tokens=4, num_groups=4), StageConfig(depth=1)),
    ),
    text=TextEncoderConfig(dim=32, num_heads=2, depth=1),
    embedding_dim=16,
    projector_dim=48,
)


def make_shards(folder: Path) -> None:
    """Write the shards, of drawn images, and a small random model."""
    generator = np.random.default_rng(0)
    for shard in range(SHARDS):
        with tarfile.open(folder / f"s-{shard:03}.tar", "w") as tar:
            for number in range(IMAGES):
                coarse = generator.integers(0, 256, (5, 6, 3)).astype(np.uint8)
                file = io.BytesIO()
                Image.fromarray(coarse).resize((120, 90)).save(file, "JPEG")
                member = tarfile.TarInfo(f"{shard:03}{number:03}.jpg")
                member.size = len(file.getvalue())
                tar.addfile(member, io.BytesIO(file.getvalue()))
    torch.manual_seed(0)
    checkpoint.save(folder / "model", GroupViT(SMALL).eval(), Origin(source="drawn at random"))


def command(folder: Path, out: Path, output: str, workers: int) -> list[str]:
    """Command line of the run."""
    return [
        *(sys.executable, "-m", "groupvit", "segment", str(folder / "s-*.tar")),
        *("--labels", "dog", "cat", "grass", "--model", str(folder / "model")),
        *("--out", str(out), "--format", output, "--workers", str(workers)),
    ]


def start(line: list[str]) -> subprocess.Popen[bytes]:
    """Start the run in a process group of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        line,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def children(process: int) -> list[int]:
    """Processes of the group of a run, without itself: the workers, and the server of forks."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if os.getpgid(int(entry.name)) == process != int(entry.name):
                found.append(int(entry.name))
    return sorted(found)


def wait_for_workers(run: subprocess.Popen[bytes]) -> None:
    """Wait until the run has started other processes: before that there is nothing to lose."""
    while run.poll() is None and not children(run.pid):
        time.sleep(0.05)


def kill(run: subprocess.Popen[bytes], generator: random.Random) -> str:
    """Kill one worker or the whole run; returns which."""
    workers = children(run.pid)
    if workers and generator.random() < 0.5:
        with suppress(ProcessLookupError):
            os.kill(generator.choice(workers), signal.SIGKILL)
        return "worker"
    with suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    return "run"


def contents(out: Path) -> dict[str, bytes]:
    """Results by name, without what is hidden."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def main() -> int:
    """Run the command with interruptions, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--output", choices=["parquet", "webdataset", "files"], default="parquet")
    parser.add_argument("--mean", type=float, default=3.0, help="mean time between signals [s]")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    generator = random.Random(given.seed)
    killed: Counter[str] = Counter()
    rounds = differing = images = starts = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_shards(folder)
        subprocess.run(
            command(folder, folder / "whole", given.output, 1),
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        expected = contents(folder / "whole")
        while killed.total() < given.kills:
            out = folder / f"round-{rounds}"
            line = command(folder, out, given.output, WORKERS)
            run = start(line)
            while run.poll() != 0:
                if run.poll() is not None:  # killed, or given up after three signals in a row
                    run, starts = start(line), starts + 1
                    if starts > 10 * (given.kills + 1):
                        sys.exit("the command ends with errors again and again")
                if killed.total() < given.kills:
                    wait_for_workers(run)
                    time.sleep(generator.expovariate(1 / given.mean))
                    if run.poll() is None:
                        killed[kill(run, generator)] += 1
                else:
                    run.wait()
            rounds += 1
            found = contents(out)
            differing += sum(found.get(key) != expected.get(key) for key in {*found, *expected})
            keys = [key for key, _ in read_masks(out)]
            differing += len(keys) != SHARDS * IMAGES or len(set(keys)) != len(keys)
            images += len(keys)
    print(
        f"{killed.total()} SIGKILLs ({killed['worker']} of workers, {killed['run']} of the whole "
        f"run) over {rounds} runs of {SHARDS} shards by {WORKERS} workers, {images} images: "
        f"{differing} results differ from those of a run without"
    )
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main())
