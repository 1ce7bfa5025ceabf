"""Commands of a checkout: the same benchmark runs on two commits, one process for each command."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

THREADS = 2
SETTINGS = Path("configs/storybook-quick.toml")
"""Training settings that every commit has, in the form of that commit."""


def environment(source: Path) -> dict[str, str]:
    """Environment in which `import groupvit` finds the package of a checkout."""
    return {
        **os.environ,
        "PYTHONPATH": str(source / "src"),
        "OMP_NUM_THREADS": str(THREADS),
        "OMP_WAIT_POLICY": "PASSIVE",  # a busy machine loses much time to threads that spin
        "PYTHONHASHSEED": "0",
    }


def run(source: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run Python in a checkout.

    Raises:
        SystemExit: It failed; the message ends with what it printed.
    """
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=source,
        env=environment(source),
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode:
        raise SystemExit(f"{source}: {' '.join(arguments)}\n{(done.stdout + done.stderr)[-3000:]}")
    return done


def groupvit(source: Path, *arguments: str) -> None:
    """Run a command of a checkout."""
    run(source, "-m", "groupvit", *arguments)


def draw_scenes(source: Path, folder: Path, *, num: int, test: int) -> Path:
    """Folder with `pairs/storybook-000000.tar` and a benchmark in `test/`; drawn only once."""
    if not (folder / "pairs").is_dir():
        groupvit(source, "storybook", "--out", str(folder), "--num", str(num), "--test", str(test))
    return folder


def train_options(
    source: Path, settings: Path, values: Mapping[tuple[str, ...], Sequence[str]]
) -> list[str]:
    """Options of `groupvit train` by the names that a checkout knows.

    Args:
        source: The checkout.
        settings: A settings file that it accepts.
        values: Of each setting the values, by the names that it has had; the first known one is
            taken. A setting without any known name is left out.
    """
    known = ""
    for flag in ("--help", "--help-all"):
        known += run(source, "-m", "groupvit", "train", str(settings), flag, check=False).stdout
    words = set(known.replace("│", " ").replace(",", " ").split())
    options: list[str] = []
    for names, given in values.items():
        found = [name for name in names if name in words]
        if found:
            options += [found[0], *given]
    return options
