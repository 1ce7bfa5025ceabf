"""The command line. Commands import what they need when they run, so that help comes at once."""

import sys
from collections.abc import Callable, Sequence

import tyro

from groupvit.cli.convert import convert
from groupvit.cli.groups import groups
from groupvit.cli.info import info
from groupvit.cli.segment import segment
from groupvit.errors import InputError

COMMANDS: dict[str, Callable[..., int]] = {
    "segment": segment,
    "groups": groups,
    "convert": convert,
    "info": info,
}
MISTAKE = 2
"""Exit code for what a person can mend: a wrong argument, a file that cannot be read."""
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 done but for some pictures, 2 a mistake."""
    try:
        code: int = tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog="groupvit",
            description="Give it a picture and some words: it says which pixels belong to which.",
            args=arguments,
        )
        return code
    except InputError as error:
        sys.stderr.write(f"groupvit: {error}\n")
        return MISTAKE
    except KeyboardInterrupt:
        sys.stderr.write("groupvit: stopped; what was written stays\n")
        return INTERRUPTED
