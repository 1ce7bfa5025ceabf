"""Images of a command, with a line about the files that are skipped."""

import sys
from collections.abc import Sequence
from pathlib import Path

from groupvit.cli.streams import escaped


def images_of(paths: Sequence[str | Path]) -> list[Path]:
    """Images that files, folders and patterns stand for; see `image_files.search`."""
    from groupvit import image_files  # which loads numpy, for which no help page should wait

    found = image_files.search(paths)
    report_skipped(found.describe_skipped())
    return [image.path for image in found.images]


def report_skipped(description: str) -> None:
    """Print what was skipped on stderr, if there is anything."""
    if description:
        sys.stderr.write(f"groupvit: {escaped(description)}\n")
