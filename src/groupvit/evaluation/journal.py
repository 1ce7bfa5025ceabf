"""Journal of an evaluation: the counts of every image, from which an interrupted one resumes."""

import json
from pathlib import Path
from typing import Any

from groupvit import files
from groupvit.errors import InputError
from groupvit.evaluation.measurement import Measurement
from groupvit.evaluation.per_image import ImageCounts

NAME = "images"
"""Stem of the files: images-0.jsonl and so on, one for each process that writes."""


class Journal:
    """Files of JSON lines: the measurement first, then the counts of one image in each line.

    A killed process leaves at worst half a line, which is removed when the evaluation resumes.
    All files of the folder are read, so that the number of processes may change in between.

    Args:
        folder: Folder of the files; created if it does not exist.
        measurement: Conditions of the counts.
        rank: Rank of the process that writes.

    Raises:
        InputError: The folder holds the journal of another measurement, or cannot be written.
    """

    def __init__(self, folder: Path, measurement: Measurement, *, rank: int = 0) -> None:
        self._file = folder / f"{NAME}-{rank}.jsonl"
        self.done: list[ImageCounts] = []
        """Counts that were in the folder before."""
        conditions = measurement.to_values()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for file in sorted(folder.glob(f"{NAME}-*.jsonl")):
                self._read(file, conditions)
            # The first line, or all lines but a half last one.
            whole = "".join(_whole_lines(self._file)) or json.dumps(conditions) + "\n"
            if not self._file.exists() or self._file.read_text("utf-8") != whole:
                files.write_text(self._file, whole)
        except OSError as error:
            raise InputError(f"--out {folder} cannot be written: {error.strerror}") from error

    def add(self, counts: ImageCounts) -> None:
        """Append the counts of an image."""
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(counts.to_values()) + "\n")

    def _read(self, file: Path, conditions: dict[str, Any]) -> None:
        lines = [json.loads(line) for line in _whole_lines(file)]
        if not lines:
            return
        other = [name for name, value in conditions.items() if lines[0].get(name) != value]
        if other:
            raise InputError(
                f"{file} is of an evaluation with another {other[0].replace('_', ' ')}; choose "
                "another --out, or pass --overwrite to begin anew"
            )
        self.done += map(ImageCounts.from_values, lines[1:])


def _whole_lines(file: Path) -> list[str]:
    """Lines of a file, without a last one that has no end."""
    if not file.exists():
        return []
    lines = file.read_text("utf-8").splitlines(keepends=True)
    return lines if not lines or lines[-1].endswith("\n") else lines[:-1]
