"""The command line: `groupvit COMMAND ...`.

Each command is a function in the module of its name. The module is imported when its command is
chosen, so what it needs stands at its top, with one exception: whatever loads torch is imported in
the command's function. Loading torch takes 1.3 s of CPU time, and neither `groupvit COMMAND --help`
(0.2 s) nor a mistyped option should wait for it.
"""

import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Any

from groupvit.cli.arguments import refuse_swallowed
from groupvit.cli.streams import escaped, is_closed, silence
from groupvit.errors import InputError, suggestion
from groupvit.version import VERSION

GROUPS = {
    "Segment": {
        "segment": "label every pixel of images, by words",
        "masks": "convert results of shards to COCO, PNG or YOLO",
        "groups": "show the segments of every stage beside the image",
        "concepts": "show the regions that belong together across images",
        "demo": "segment photographs and drawn scenes, as a page",
        "serve": "serve a model over HTTP: a page and an API",
    },
    "Train": {
        "train": "train a model on images with captions",
        "recipes": "list recipes: whole settings of training, by name",
        "plan": "estimate time, memory and data rate of a run",
        "learn-background": "train the background layer of a model",
    },
    "Evaluate": {
        "evaluate": "measure mIoU on a benchmark with masks",
        "compare": "compare saved evaluations",
        "benchmark": "compare the runtimes of a model on this machine",
        "calibrate": "find background thresholds",
        "retrieve classify": "measure retrieval; zero-shot classification",
    },
    "Data": {
        "pack": "write images and captions to tar shards",
        "pairs": "summarize tar shards, and list damaged samples",
        "storybook": "draw captioned scenes, and a benchmark with masks",
    },
    "Models": {
        "info verify": "show a model, its words and digest; check its files",
        "convert export": "convert weights to another layout; to ONNX",
        "push": "upload a model and its card to Hugging Face",
        "doctor": "show versions, processor, GPU, caches and extras",
    },
}
"""The commands with their summaries, as `groupvit --help` shows them; some lines hold two."""
COMMANDS = tuple(name for lines in GROUPS.values() for line in lines for name in line.split())
_FOLDS = {"--folds", "--held-out", "--held_out"}
"""Options that make an evaluation one of held-out classes."""
MISTAKE = 2
"""Exit code of mistakes that the user can correct: a wrong argument, an unreadable file."""
INTERRUPTED, TERMINATED = 130, 143
"""Exit codes after Ctrl-C and SIGTERM."""
CLOSED_OUTPUT = 1
"""Exit code if the program that reads the output has ended, as `head` does."""


class TerminatedError(KeyboardInterrupt):
    """SIGTERM, which ends a command in the same way as Ctrl-C."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 done but for some images, 2 a mistake."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    try:
        try:
            return _answer(given)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not is_closed(sys.stdout) and not is_closed(sys.stderr):
            raise
        silence()
        return CLOSED_OUTPUT


def _show_warning(message: Warning | str, *_: object) -> None:
    sys.stderr.write(f"{_program()}: {escaped(str(message))}\n")


def _answer(given: Sequence[str]) -> int:
    if not given or given[0] in ("-h", "--help"):
        (sys.stdout if given else sys.stderr).write(overview())
        return 0 if given else MISTAKE
    if given[0] == "--version":
        sys.stdout.write(f"groupvit {VERSION}\n")
        return 0
    try:
        with _termination_raised():
            return _run(given[0], given[1:])
    except InputError as error:
        sys.stderr.write(f"{_program()}: {escaped(str(error))}\n")
        return MISTAKE
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        name = escaped(f"{error.filename!s:.80}")
        sys.stderr.write(
            f"{_program()}: {name}... is too long for the name of a file; shorten it\n"
        )
        return MISTAKE
    except KeyboardInterrupt as interrupt:
        sys.stderr.write("groupvit: interrupted; files written so far are kept\n")
        return TERMINATED if isinstance(interrupt, TerminatedError) else INTERRUPTED


@contextmanager
def _termination_raised() -> Iterator[None]:
    """Raise an exception at SIGTERM, so that temporary files are deleted and workers end."""
    process = os.getpid()

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second signal ends the process at once
        if os.getpid() != process:  # a forked worker, which has nothing to delete
            os.kill(os.getpid(), number)
        raise TerminatedError

    own = threading.current_thread() is threading.main_thread()
    if not own or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def overview() -> str:
    """The help page of the program: lines of one or two commands; it fits a screen of 24 x 80."""
    lines = ["usage: groupvit COMMAND [OPTIONS]       options: groupvit COMMAND --help"]
    for group, commands in GROUPS.items():
        titles = [group] + [""] * (len(commands) - 1)
        for title, (name, summary) in zip(titles, commands.items(), strict=True):
            lines.append(f"{title:10}{name:18}{summary}")
    return "\n".join([*lines, ""])


def _run(command: str, options: Sequence[str]) -> int:
    if command not in COMMANDS:
        raise InputError(
            f"there is no command {command!r}; groupvit --help lists the commands"
            + suggestion(command, COMMANDS)
        )
    function = _function(command, options)
    import tyro  # 0.05 s, which the help page does not need

    if os.environ.get("NO_COLOR"):  # rich reads it by itself
        tyro._experimental_options["ansi_codes"] = False
    refuse_swallowed(function, options)
    given = ["--help" if option == "--help-all" else option for option in options]
    code: int = tyro.cli(
        function, prog=f"groupvit {command}", args=given, config=(tyro.conf.DisallowNone,)
    )
    return code


def _function(command: str, options: Sequence[str]) -> Callable[..., int]:
    """The function of a command; that of train, plan and evaluate depends on the options."""
    name = command.replace("-", "_")
    function: Callable[..., int]
    if command == "evaluate" and "--list" in options:
        function = _module("benchmarks").show_benchmarks
    elif command == "evaluate" and _FOLDS.intersection(one.partition("=")[0] for one in options):
        function = _module("folds").evaluate_folds
    elif command in ("train", "plan"):
        function = _module(name).command(options)
    else:
        function = getattr(_module(name), name)
    return function


def _module(name: str) -> Any:
    return import_module(f"groupvit.cli.{name}")


def _program() -> str:
    """The program as messages name it, with its rank under torchrun."""
    rank = os.environ.get("RANK")
    return "groupvit" if rank is None else f"groupvit, rank {rank}"
