"""Check of a command line for images that an option of several words takes for its own."""

import os
from collections.abc import Callable, Iterator, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import NamedTuple, get_origin

from groupvit.errors import InputError


class Run(NamedTuple):
    """An option and the values that follow it."""

    option: str
    """Such as `--labels`; empty for what stands before all options."""
    values: list[str]


def refuse_swallowed(function: Callable[..., int], arguments: Sequence[str]) -> None:
    """Refuse files that stand behind an option of several words, which would be words of it.

    Args:
        function: Function of the command.
        arguments: Command line behind the name of the command.

    Raises:
        InputError: A word of such an option is a file; or it is a folder, and no other word of the
            command line can be an image.
    """
    runs = list(_runs(arguments))
    greedy = _options_of_words(function)
    has_others = any(len(run.values) > bool(run.option) for run in runs if run.option not in greedy)
    for run in runs:
        if run.option not in greedy:
            continue
        for value in run.values:
            if _is_file(value) or (_is_folder(value) and not has_others):
                raise InputError(
                    f"{run.option} took {value} as one of its words; write it before {run.option}, "
                    "directly behind the command"
                )


def _runs(arguments: Sequence[str]) -> Iterator[Run]:
    run = Run("", [])
    for argument in arguments:
        if argument.startswith("--"):
            yield run
            name, equals, value = argument.partition("=")
            run = Run(name.replace("_", "-"), [value] if equals else [])
        else:
            run.values.append(argument)
    yield run


def _options_of_words(function: Callable[..., int]) -> set[str]:
    """Options that take any number of words."""
    return {
        "--" + name.replace("_", "-")
        for name, parameter in signature(function).parameters.items()
        if parameter.kind is Parameter.KEYWORD_ONLY and _is_tuple(parameter.annotation)
    }


def _is_tuple(annotation: object) -> bool:
    return get_origin(getattr(annotation, "__origin__", annotation)) is tuple


def _is_file(value: str) -> bool:
    # Not `Path.is_file`, which raises an error for words that no path can have.
    return bool(Path(value).suffix) and os.path.isfile(value)  # noqa: PTH113


def _is_folder(value: str) -> bool:
    return os.path.isdir(value)  # noqa: PTH112
