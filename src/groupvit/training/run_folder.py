"""The folder of a run: settings, log, and checkpoints of which `latest` and `best` name one each.

`latest` and `best` are text files that hold a folder's name: links would not survive Windows or
every archive, and a text file can be moved into place in one step, and mended by hand.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from groupvit import files
from groupvit.config import differences, from_values, to_values
from groupvit.errors import InputError
from groupvit.training import checkpoints
from groupvit.training.checkpoints import Snapshot
from groupvit.training.config import TrainingConfig
from groupvit.weights.checkpoint import as_json

CONFIG_FILE, LOG_FILE = "config.json", "log.jsonl"
LATEST, BEST = "latest", "best"
FORMAT = "groupvit-run-2"
"""Value of `format` in the `config.json` of a run."""
CHANGEABLE = frozenset(
    {
        "out",
        "steps",
        "device",
        "compile",
        "chunk",
        "log_every",
        "evaluate_every",
        "evaluate_folder",
        "evaluate_limit",
        "save_every",
        "keep_last",
        "max_skipped",
        "tensorboard",
        "data.batch_size",  # the trainer compares the global batch
        "data.num_workers",
    }
)
"""Settings that may differ when a run is resumed."""


class RunFolder:
    """The folder of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / LOG_FILE
        self.tensorboard = path / "tensorboard"
        self._made: list[Path] = []

    def prepare(self, config: TrainingConfig, *, fresh: bool) -> None:
        """Make the folder, or check that the run in it is this one; write the settings down.

        Raises:
            InputError: The folder holds something else or a run with other settings, or cannot be
                written.
        """
        try:
            if fresh and self.path.exists():
                self._values()  # refuses what is no run
                shutil.rmtree(self.path)
            if self.path.exists() and any(self.path.glob("[!.]*")):
                self._check_settings(config)
            self._made = [one for one in (self.path, *self.path.parents) if not one.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
            files.remove_leftovers(self.path)  # of a run that was killed
            values = {"format": FORMAT, "settings": to_values(config)}
            files.write_text(self.path / CONFIG_FILE, as_json(values))
        except OSError as error:
            raise InputError(
                f"the run folder {self.path} cannot be written: {error.strerror or error}"
            ) from error

    def withdraw(self) -> None:
        """Remove the folders that `prepare` made, for a run that is refused before its first step.

        A folder that was there before is kept.
        """
        for number, folder in enumerate(self._made):
            if number == 0:
                shutil.rmtree(folder, ignore_errors=True)
            elif folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def settings(self) -> TrainingConfig:
        """The settings that the run was last started with.

        Raises:
            InputError: The folder is no run.
        """
        where = str(self.path / CONFIG_FILE)
        return from_values(TrainingConfig, self._values().get("settings"), where=where)

    def _values(self) -> dict[str, Any]:
        try:
            values = json.loads(files.read_text(self.path / CONFIG_FILE))
        except (OSError, ValueError):
            values = None
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise InputError(f"{self.path} holds something else than a run; choose another --out")
        return values

    def latest(self) -> Path | None:
        """The newest checkpoint."""
        return self._named(LATEST)

    def best(self) -> Path | None:
        """The checkpoint with the highest score."""
        return self._named(BEST)

    def save(self, state: Snapshot, *, best: bool, keep: int) -> Path:
        """Write a checkpoint, let `latest` and, if it is the best, `best` name it, delete old ones.

        Raises:
            InputError: The disk refuses; the message names the last whole checkpoint.
        """
        folder = self.path / f"step-{state.progress.step:06d}"
        try:
            checkpoints.write(folder, state, run=self.path.name)
            files.write_text(self.path / LATEST, f"{folder.name}\n")
            if best:
                files.write_text(self.path / BEST, f"{folder.name}\n")
            self._thin_out(keep)
        except (OSError, InputError) as error:
            raise InputError(f"{error}; {self.resume_hint()}") from error
        return folder

    def resume_hint(self) -> str:
        """Hint for an interrupted run."""
        latest = self.latest()
        if latest is None:
            return "no checkpoint was written; the same command starts again"
        return f"{latest} is complete, and the same command resumes from it"

    def _named(self, pointer: str) -> Path | None:
        try:
            name = (self.path / pointer).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        return self.path / name

    def _thin_out(self, keep: int) -> None:
        """Delete all checkpoints but the newest ones and those that a file names."""
        folders = sorted(self.path.glob("step-*"), key=lambda folder: int(folder.name[5:]))
        for folder in folders[:-keep]:
            if folder not in (self.latest(), self.best()):
                checkpoints.remove(folder)

    def _check_settings(self, config: TrainingConfig) -> None:
        changed = [
            f"{name} was {before!r} and is {after!r}"
            for name, (before, after) in differences(self.settings(), config).items()
            if name not in CHANGEABLE
        ]
        if changed:
            raise InputError(
                f"{self.path} holds a run with other settings: {'; '.join(changed)}; choose "
                "another --out, or pass --fresh to delete that run"
            )
