"""The command line. Commands import what they need when they run, so that help comes at once."""

import os
import sys
from collections.abc import Callable, Sequence

import tyro

from groupvit.cli.benchmarks import show_benchmarks
from groupvit.cli.calibrate import calibrate
from groupvit.cli.classify import classify
from groupvit.cli.compare import compare
from groupvit.cli.concepts import concepts
from groupvit.cli.convert import convert
from groupvit.cli.demo import demo
from groupvit.cli.evaluate import evaluate
from groupvit.cli.export import export
from groupvit.cli.groups import groups
from groupvit.cli.info import info
from groupvit.cli.learn_background import learn_background
from groupvit.cli.pack import pack
from groupvit.cli.pairs import pairs
from groupvit.cli.plan import plan, plan_with
from groupvit.cli.push import push
from groupvit.cli.retrieve import retrieve
from groupvit.cli.segment import segment
from groupvit.cli.serve import serve
from groupvit.cli.storybook import storybook
from groupvit.cli.train import train, train_with
from groupvit.errors import InputError

COMMANDS: dict[str, Callable[..., int]] = {
    "segment": segment,
    "groups": groups,
    "concepts": concepts,
    "train": train,
    "plan": plan,
    "evaluate": evaluate,
    "compare": compare,
    "calibrate": calibrate,
    "learn-background": learn_background,
    "retrieve": retrieve,
    "classify": classify,
    "pack": pack,
    "pairs": pairs,
    "storybook": storybook,
    "demo": demo,
    "serve": serve,
    "convert": convert,
    "export": export,
    "push": push,
    "info": info,
}
MISTAKE = 2
"""Exit code for what a person can mend: a wrong argument, a file that cannot be read."""
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 done but for some images, 2 a mistake."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code: int = tyro.extras.subcommand_cli_from_dict(
            COMMANDS | _special(given),
            prog="groupvit",
            description="Give it an image and some words: it says which pixels belong to which.",
            args=given,
        )
        return code
    except InputError as error:
        sys.stderr.write(f"{_speaker()}: {error}\n")
        return MISTAKE
    except KeyboardInterrupt:
        sys.stderr.write("groupvit: stopped; what was written stays\n")
        return INTERRUPTED


def _special(given: Sequence[str]) -> dict[str, Callable[..., int]]:
    """Commands whose options depend on what is given."""
    if given[:1] == ["train"]:
        return {"train": train_with(given[1:])}
    if given[:1] == ["plan"]:
        return {"plan": plan_with(given[1:])}
    if given[:1] == ["evaluate"] and "--list" in given:
        return {"evaluate": show_benchmarks}  # which needs no model
    return {}


def _speaker() -> str:
    """Who complains: under torchrun every process may."""
    rank = os.environ.get("RANK")
    return "groupvit" if rank is None else f"groupvit, rank {rank}"
