"""Standard streams: messages on one line, and readers that end first: `groupvit recipes | head`."""

import os
import select
import sys
from typing import TextIO


def escaped(message: str) -> str:
    """Message on one line; control characters, as names of files can hold them, are escaped."""
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in message
    )


def is_closed(stream: TextIO) -> bool:
    """True for a pipe that nothing reads any more."""
    if not hasattr(select, "poll"):  # Windows, where a closed pipe is an OSError of another kind
        return True
    poll = select.poll()
    try:
        poll.register(stream.fileno(), 0)
    except (OSError, ValueError):  # no file, as in tests
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))


def silence() -> None:
    """Discard what is left to be written, which Python would try once more at its end."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if is_closed(stream):
            os.dup2(nothing, stream.fileno())
