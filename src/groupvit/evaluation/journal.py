"""The journal of an evaluation: what was counted in each image, so that none is done twice."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from groupvit import files
from groupvit.errors import InputError
from groupvit.evaluation.per_image import Counts
from groupvit.exported.network import ExportedNetwork
from groupvit.model.groupvit import GroupViT
from groupvit.segmentation.network import Network

NAME = "images"
"""The files are called images-0.jsonl and so on, one for each process that writes."""


class Journal:
    """Lines of JSON: first what is measured and how, then the counts of an image in each.

    A process that is killed leaves at worst half a line, which is taken off when it goes on. Other
    processes may have shared the work differently: what any of them did is done.

    Args:
        folder: Where the files lie; it is made if it does not exist.
        conditions: What is measured and how, as values for JSON.
        rank: Which process writes.

    Raises:
        InputError: The folder holds the journal of another measurement, or cannot be written.
    """

    def __init__(self, folder: Path, conditions: Mapping[str, Any], *, rank: int = 0) -> None:
        self._file = folder / f"{NAME}-{rank}.jsonl"
        self.done: list[Counts] = []
        """What was counted before."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for file in sorted(folder.glob(f"{NAME}-*.jsonl")):
                self._read(file, conditions)
            self._begin(conditions)
        except OSError as error:
            raise InputError(f"--out {folder} cannot be written: {error.strerror}") from error

    def _begin(self, conditions: Mapping[str, Any]) -> None:
        """Write the first line, or take off half a last one."""
        whole = "".join(_whole_lines(self._file)) or json.dumps(conditions) + "\n"
        if not self._file.exists() or self._file.read_text("utf-8") != whole:
            files.write_text(self._file, whole)

    def add(self, counts: Counts) -> None:
        """Write down what was counted in an image."""
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(counts.to_values()) + "\n")

    def _read(self, file: Path, conditions: Mapping[str, Any]) -> None:
        lines = [json.loads(line) for line in _whole_lines(file)]
        if not lines:
            return
        _check(lines[0], json.loads(json.dumps(conditions)), file)
        self.done += map(Counts.from_values, lines[1:])


def fingerprint(model: Network) -> str:
    """Some letters that differ where weights differ."""
    if isinstance(model, ExportedNetwork):
        return model.fingerprint()
    assert isinstance(model, GroupViT)
    digest = hashlib.sha256(repr(model.config).encode())
    for name, values in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def _whole_lines(file: Path) -> list[str]:
    """The lines that were written to their end."""
    if not file.exists():
        return []
    lines = file.read_text("utf-8").splitlines(keepends=True)
    return lines if not lines or lines[-1].endswith("\n") else lines[:-1]


def _check(found: Mapping[str, Any], wanted: Mapping[str, Any], file: Path) -> None:
    other = [name for name, value in wanted.items() if found.get(name) != value]
    if other:
        raise InputError(
            f"{file} is of an evaluation with another {other[0].replace('_', ' ')}; choose another "
            "--out, or pass --overwrite to begin anew"
        )
