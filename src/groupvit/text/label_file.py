"""Text files of labels or classes, with a name in each line."""

import re
from collections.abc import Sequence
from pathlib import Path

from groupvit import files
from groupvit.errors import InputError
from groupvit.text.prompts import split_labels

LARGEST = 2**20
"""Largest file of labels or classes [bytes]."""
_NUMBERED = re.compile(r"(\d{1,9})\s*[:=\t]\s*(\S.*)", re.ASCII)


def read_lines(file: Path) -> list[str]:
    """Lines of a text file, stripped; none for blank lines at the end.

    Raises:
        InputError: It is missing, or is no UTF-8 text.
    """
    try:
        return [
            line.strip() for line in files.read_text(file, largest=LARGEST).rstrip().split("\n")
        ]
    except UnicodeDecodeError as error:
        raise InputError(f"{file} cannot be read as UTF-8 text: {error}") from None
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from None


def without_numbers(lines: Sequence[str], file: Path) -> list[str]:
    """Names of lines such as `0: sky`, which count from 0; other lines as they are.

    Raises:
        InputError: Some lines are numbered and others are not, or the numbers are others.
    """
    matches = [_NUMBERED.fullmatch(line) for line in lines]
    if not any(matches):
        return list(lines)
    names = []
    for number, (line, match) in enumerate(zip(lines, matches, strict=True)):
        if match is None or int(match[1]) != number:
            raise InputError(
                f"{file}, line {number + 1} is {line!r}, and other lines are numbered; number "
                f"every line from 0, here {number}: NAME, or none"
            )
        names.append(match[2])
    return names


def one_per_line(lines: Sequence[str], file: Path) -> list[str]:
    """Names of lines that each hold one class, since the number of a line is that of its class.

    Numbers before the names are left out; see `without_numbers`.

    Raises:
        InputError: A line has a comma that separates labels, or its number is another.
    """
    names = without_numbers(lines, file)
    for number, name in enumerate(names, start=1):
        if len(split_labels([name])) != 1:
            raise InputError(
                f"{file}, line {number} is {name!r}, and commas separate labels; write one class "
                "in each line, synonyms with |, and quotation marks around a name with a comma, "
                'such as "salt, pepper"'
            )
    return names
