"""Commands of the cases from the field, and what they end with; see cases.py."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from groupvit.cli import main as command

EXAMPLE = "examples/harbour.png"
"""Image of this repository."""
MODEL = ("--model", "storybook")
"""Model of the cases."""
TIME_LIMIT = 1200
"""Longest time of a case in processes of its own [seconds]; longer ones count as a hang."""


class Done(NamedTuple):
    """End of a command."""

    code: int
    text: str
    """Standard output and errors."""

    def last(self) -> str:
        """Last line of the text."""
        return (self.text.strip().splitlines() or [""])[-1]


class Seen(NamedTuple):
    """Result of a case."""

    text: str
    right: bool


class Case(NamedTuple):
    """A case and what is expected."""

    expected: str
    run: Callable[[Path, Path], Seen]
    """From the folder of the case and an empty one."""


def groupvit(*arguments: object) -> Done:
    """Run a command."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        code = command(list(map(str, arguments)))
    return Done(code, text.getvalue())


def processes(*arguments: object) -> Done:
    """Run Python with two ranks; the code -1 is a hang."""
    starter = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    try:
        done = subprocess.run(
            [*starter, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIME_LIMIT,
            check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        return Done(-1, "hang")
    return Done(done.returncode, done.stdout)


def refusal(done: Done, *words: str) -> Seen:
    """A refusal in one sentence that holds these words."""
    sentence = done.last()
    right = done.code == 2 and "Traceback" not in done.text
    return Seen(f"exit {done.code}: {sentence}", right and all(word in sentence for word in words))
