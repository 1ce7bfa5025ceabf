"""The folder of a run: settings, log, and checkpoints of which `latest` and `best` name one each.

`latest` and `best` are text files that hold a folder's name: links would not survive Windows or
every archive, and a text file can be moved into place in one step, and mended by hand.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from groupvit import files, storage
from groupvit.config import differences, from_values, to_values
from groupvit.data.fingerprint import Fingerprint
from groupvit.data.remote import RemoteTar, fingerprint_of, is_unchanged
from groupvit.errors import InputError
from groupvit.training import changes, checkpoints
from groupvit.training.checkpoints import Snapshot
from groupvit.training.config import TrainingConfig
from groupvit.training.mirror import Mirror
from groupvit.values import LARGEST_ANNOTATIONS, read_json
from groupvit.weights.checkpoint import as_json

CONFIG_FILE, LOG_FILE, SHARDS_FILE = "config.json", "log.jsonl", "shards.json"
LATEST, BEST = "latest", "best"
_LONGEST_NAME = 1024
"""Size of `latest` and `best` [bytes]."""
FORMAT = "groupvit-run-2"
"""Value of `format` in the `config.json` of a run."""
NO_CHECKPOINT = "none"
"""Content of `latest` until the first checkpoint is complete."""


class RunFolder:
    """The folder of one run.

    Args:
        path: The folder.
        mirror: Copy in an object store, which every save brings up to date; None: there is none.
    """

    def __init__(self, path: Path, mirror: Mirror | None = None) -> None:
        self.path, self.mirror = path, mirror
        self.log = path / LOG_FILE
        self.tensorboard = path / "tensorboard"
        self._made: list[Path] = []
        self._aside: Path | None = None
        self._is_fresh = False

    @staticmethod
    def of(out: str) -> "RunFolder":
        """The run at a path, or at the address of an object store, where it has a copy.

        Raises:
            InputError: The kind of address is unknown, or the package for it is missing.
        """
        if not storage.is_url(out):
            return RunFolder(Path(out))
        mirror = Mirror(out)
        return RunFolder(mirror.folder, mirror)

    def prepare(self, config: TrainingConfig, *, fresh: bool, changed: Sequence[str] = ()) -> None:
        """Make the folder, or check that the run in it is this one; write the settings down.

        Args:
            config: Settings.
            fresh: Put the run in the folder aside, until `begin` deletes it or `withdraw` puts it
                back.
            changed: Settings, or tables of settings, that may differ from those of the run. Their
                values before and after are recorded in `config.json`.

        Raises:
            InputError: The folder holds something else, a run with other settings or a run without
                its `latest`, or cannot be written; or the object store does not answer.
        """
        changes.check_names(changed, config)
        self._is_fresh = fresh
        if self.mirror is not None and not fresh:
            self.mirror.fetch()
        try:
            if fresh and self.path.exists():
                self._values()  # refuses what is no run
                self._aside = files.set_aside(self.path)
            history: list[Any] = []
            if self.path.exists() and any(self.path.glob("[!.]*")):
                self._values()
                self._check_latest()
                history = self._history(config, changed)
            folder = self.path.resolve()
            self._made = [one for one in (folder, *folder.parents) if not one.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            files.remove_leftovers(self.path)  # of a run that was killed
            values = {"format": FORMAT, "settings": to_values(config), "changes": history}
            files.write_text(self.path / CONFIG_FILE, as_json(values))
        except OSError as error:
            raise InputError(
                f"the run folder {self.path} cannot be written: {error.strerror or error}"
            ) from error
        if self.mirror is not None and not fresh:
            self.mirror.catch_up()

    def begin(self) -> None:
        """Delete the run that `prepare` put aside, now that nothing can refuse the new one."""
        if self.mirror is not None and self._is_fresh:
            self.mirror.clear()
        if self._aside is not None:
            shutil.rmtree(self._aside, ignore_errors=True)
            self._aside = None

    def withdraw(self) -> None:
        """Undo `prepare`, for a run that is refused before its first step.

        The folders that it made are removed, and a run that it put aside is put back; a folder that
        was there before is kept.
        """
        for number, folder in enumerate(self._made):
            if number == 0 and folder.is_dir():
                # Not by `files.remove_folder`, which would delete what is put aside.
                shutil.rmtree(folder)
            elif folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        if self._aside is not None:
            self._aside.rename(self.path.resolve())
            self._aside = None

    def check_shards(
        self,
        tars: Sequence[Path | RemoteTar],
        folders: Mapping[str, Fingerprint] = MappingProxyType({}),
        *,
        changed: Sequence[str] = (),
    ) -> None:
        """Check that no data were replaced since the run began; write their fingerprints down.

        Args:
            tars: Shards of the run.
            folders: Folders with masks, and what they are now.
            changed: See `prepare`; `data.shards` (or `data.sources`) and `data.masks` allow
                replaced ones.

        Raises:
            InputError: A shard or folder was replaced, or cannot be read, or patterns stand for
                other shards than before.
        """
        before = self._fingerprints()
        kept = {
            str(tar): before[str(tar)]
            for tar in tars
            if str(tar) in before and is_unchanged(tar, before[str(tar)])
        }
        replaced = [tar for tar in tars if str(tar) in before and str(tar) not in kept]
        may_differ = any(changes.covers(changed, one) for one in (changes.SHARDS, changes.SOURCES))
        if replaced and not may_differ:
            raise InputError(
                f"{replaced[0]} was replaced since the run {self.path} began; put the old file "
                f"back, choose another --out, or pass --changed {changes.SHARDS}"
            )
        if before and not may_differ:
            self._check_same(before, [*map(str, tars), *folders])
        for name, now in folders.items():
            if before.get(name, now) != now and not changes.covers(changed, changes.MASKS):
                raise InputError(
                    f"{name} has other files than when the run {self.path} began; put the old ones "
                    f"back, choose another --out, or pass --changed {changes.MASKS}"
                )
        found = {str(tar): kept.get(str(tar)) or fingerprint_of(tar) for tar in tars}
        values = {name: to_values(one) for name, one in (found | dict(folders)).items()}
        files.write_text(self.path / SHARDS_FILE, as_json(values))

    def _check_same(self, before: Iterable[str], now: Iterable[str]) -> None:
        """Refuse shards that came, went or changed places under the same patterns."""
        old, new = list(before), list(dict.fromkeys(now))
        if set(old) == set(new) and old != new:
            raise InputError(
                f"the shards of the run {self.path} have another order than when it began; restore "
                f"it, choose another --out, or pass --changed {changes.SHARDS}"
            )
        for name in sorted(set(old) ^ set(new)):
            state = "is missing" if name in old else "is new"
            raise InputError(
                f"{name} {state} since the run {self.path} began; restore the shards, choose "
                f"another --out, or pass --changed {changes.SHARDS}"
            )

    def settings(self) -> TrainingConfig:
        """The settings that the run was last started with.

        Raises:
            InputError: The folder is no run.
        """
        where = str(self.path / CONFIG_FILE)
        return from_values(TrainingConfig, self._values().get("settings"), where=where)

    def _values(self) -> dict[str, Any]:
        try:
            values = read_json(self.path / CONFIG_FILE)
        except FileNotFoundError:
            values = None
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.path / CONFIG_FILE} cannot be read ({error}); choose another --out"
            ) from error
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
            if not (
                self.path / LATEST
            ).exists():  # the run may be killed before it is written below
                files.write_text(self.path / LATEST, f"{NO_CHECKPOINT}\n")
            checkpoints.write(folder, state, run=self.path.name)
            files.write_text(self.path / LATEST, f"{folder.name}\n")
            if best:
                files.write_text(self.path / BEST, f"{folder.name}\n")
            self._thin_out(keep)
            if self.mirror is not None:
                self.mirror.upload()
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
        name = self._content(pointer)
        return None if name in (None, "", NO_CHECKPOINT) else self.path / str(name)

    def _content(self, pointer: str) -> str | None:
        """Name in a file; None where the file is missing."""
        try:
            name = files.read_text(self.path / pointer, largest=_LONGEST_NAME).strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"{self.path / pointer} cannot be read ({error}); write the name of a checkpoint "
                "into it, such as step-001000"
            ) from error
        if not name.isprintable() or Path(name).name != name:
            raise InputError(
                f"{self.path / pointer} holds {name!r:.200}, which is no name of a folder; write "
                "that of a checkpoint into it, such as step-001000"
            )
        return name

    def _checkpoints(self) -> list[Path]:
        """Checkpoints in the folder, the oldest first; incomplete ones too."""
        found = [path for path in self.path.glob("step-*") if checkpoints.NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: int(path.name[5:]))

    def _check_latest(self) -> None:
        """Refuse to begin again, in silence, a run that has checkpoints."""
        pointer = self.path / LATEST
        name = self._content(LATEST)
        whole = [path.name for path in self._checkpoints() if checkpoints.is_complete(path)]
        if name in (NO_CHECKPOINT, *whole) or not (name or whole):
            return
        state = {None: "is missing", "": "is empty"}.get(
            name, f"names {name!r}, which is not a complete checkpoint"
        )
        remedy = "pass --fresh to delete the run"
        if whole:
            remedy = f"write one of {', '.join(whole)} into it to resume from there, or {remedy}"
        raise InputError(f"{pointer} {state}; {remedy}")

    def _thin_out(self, keep: int) -> None:
        """Delete all checkpoints but the newest ones and those that a file names."""
        for folder in self._checkpoints()[:-keep]:
            if folder not in (self.latest(), self.best()):
                checkpoints.remove(folder)

    def _history(self, config: TrainingConfig, changed: Sequence[str]) -> list[Any]:
        """Recorded changes of settings, those of this start included."""
        found = differences(self.settings(), config)
        refused = changes.refused(found, changed)
        if refused:
            listed = "; ".join(f"{name} was {a!r} and is {b!r}" for name, (a, b) in refused.items())
            names = " ".join(name for name in refused if not changes.covers(changes.FIXED, name))
            named = f", or resume with --changed {names}" if names else ""
            raise InputError(
                f"{self.path} holds a run with other settings: {listed}; choose another --out, or "
                f"pass --fresh to delete that run{named}"
            )
        history: list[Any] = self._values().get("changes", [])
        new = changes.named(found, changed)
        if not new:
            return history
        latest = self.latest()
        step = 0 if latest is None else checkpoints.read_progress(latest).step
        return [*history, {"after_step": step, "settings": new}]

    def _fingerprints(self) -> dict[str, Fingerprint]:
        """Fingerprints of the shards at the last start; none in a run of an older version."""
        path = self.path / SHARDS_FILE
        try:
            values = read_json(path, largest=LARGEST_ANNOTATIONS)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read: {error}; delete it") from error
        if not isinstance(values, dict):
            raise InputError(f"{path} holds no fingerprints; delete it")
        return {
            name: from_values(Fingerprint, one, where=f"{path}: {name}")
            for name, one in values.items()
        }
