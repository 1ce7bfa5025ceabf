"""Exception for invalid input: its message names the input and the remedy."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class InputError(ValueError):
    """Invalid input; the message names it and the remedy.

    The command line prints the message and ends with exit code 2. Every other exception is a bug
    and keeps its traceback.
    """


MOST_LISTED = 8
"""Number of names that a message lists, so that it stays one sentence."""


def listed(names: Sequence[str], *, separator: str = ", ") -> str:
    """First names of a list, and the number of the others: `a, b and 7 more`."""
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return separator.join(names[:MOST_LISTED]) + more


def suggestion(name: object, known: Iterable[str]) -> str:
    """Question to end a message with, `; did you mean 'segment'?`; empty if nothing is close.

    Args:
        name: Name that does not exist.
        known: Names that exist.
    """
    close = get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
