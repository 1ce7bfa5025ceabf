"""Copy of a run folder in an object store, from which a run resumes on another machine.

The run itself is on the local disk. Every complete checkpoint is uploaded, its `complete` last, and
after it the settings, the log and `latest`. So what `latest` names there is whole, whenever the
process is killed.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from groupvit import files, storage
from groupvit.errors import InputError
from groupvit.training import checkpoints

_FIRST, _LAST = ("config.json",), ("shards.json", "log.jsonl", "best", "latest")
"""Files of a run; `latest` is written after what it names, and deleted before."""


class Mirror:
    """The copy at an address.

    Args:
        url: Address of the run.

    Raises:
        InputError: The kind of address is unknown, or the package for it is missing.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        parts = PurePosixPath(storage.locate(url)[1]).parts
        self.folder = Path("runs", *(part for part in parts if part not in ("/", "..")))

    def fetch(self) -> None:
        """Fetch the run, in place of the local one, unless that is as far.

        Raises:
            InputError: The store does not answer, the copy is damaged, or the disk refuses.
        """
        names = self._names()
        latest = self._pointer("latest", names)
        if latest is None or _step(latest) <= _step(_local_latest(self.folder)):
            return
        if any(self.folder.glob("[!.]*")) and not (self.folder / _FIRST[0]).exists():
            return  # something else than a run, which is refused
        files.make_folder(self.folder)
        kept = {latest, self._pointer("best", names)}
        for name in _FIRST:
            self._fetch(name)
        for checkpoint in filter(None, kept):
            self._fetch_checkpoint(checkpoint, names)
        for name in _LAST:
            if name in names:
                self._fetch(name)
        for old in self.folder.glob("step-*"):
            if _is_checkpoint(old.name) and old.name not in kept:
                checkpoints.remove(old)

    def upload(self) -> None:
        """Upload what is new, and delete the checkpoints that the local run deleted.

        Raises:
            InputError: The store refuses; the local run is whole.
        """
        there = self._names()
        local = [path for path in sorted(self.folder.glob("step-*")) if _is_whole(path)]
        for path in local:
            if f"{path.name}/{checkpoints.COMPLETE_FILE}" not in there:
                for file in sorted(path.iterdir(), key=_complete_last):
                    storage.put(file, self._url(f"{path.name}/{file.name}"))
        for board in sorted(self.folder.glob("tensorboard/*")):
            storage.put(board, self._url(f"tensorboard/{board.name}"))
        for name in (*_FIRST, *_LAST):
            if (self.folder / name).exists():
                storage.put(self.folder / name, self._url(name))
        kept = {path.name for path in local}
        self._remove([name for name in there if _is_checkpoint(name) and _top(name) not in kept])

    def catch_up(self) -> None:
        """Upload the local run, if it is further than its copy.

        Raises:
            InputError: The store refuses.
        """
        latest = self._pointer("latest", self._names())
        if _step(latest) < _step(_local_latest(self.folder)):
            self.upload()

    def clear(self) -> None:
        """Delete the run; other files at the address stay.

        Raises:
            InputError: The store refuses.
        """
        ours = {*_FIRST, *_LAST, "tensorboard"}
        self._remove([n for n in self._names() if _is_checkpoint(n) or _top(n) in ours])

    def _url(self, name: str) -> str:
        return storage.join(self.url, name)

    def _names(self) -> list[str]:
        """Names of the files below the address; none if there is nothing."""
        root = storage.locate(self.url)[1].rstrip("/") + "/"
        found = storage.find(self.url, below=True)
        return [storage.locate(url)[1].removeprefix(root) for url in found]

    def _pointer(self, name: str, names: Sequence[str]) -> str | None:
        """Checkpoint that a file there names; None if there is no such file."""
        if name not in names:
            return None
        content = storage.read(self._url(name)).decode("utf-8", "replace").strip()
        if not checkpoints.NAME.fullmatch(content) or f"{content}/complete" not in names:
            raise InputError(
                f"{self._url(name)} holds {content!r:.100}, which is no complete checkpoint there; "
                "write the name of one into it, or choose another --out"
            )
        return content

    def _fetch(self, name: str) -> None:
        with files.new_file(self.folder / name) as beside:
            storage.fetch(self._url(name), beside)

    def _fetch_checkpoint(self, checkpoint: str, names: Sequence[str]) -> None:
        if _is_whole(self.folder / checkpoint):
            return
        with files.new_folder(self.folder / checkpoint) as beside:
            for name in names:
                if _top(name) == checkpoint:
                    storage.fetch(self._url(name), beside / PurePosixPath(name).name)

    def _remove(self, names: Sequence[str]) -> None:
        """Delete files; first those that call others complete."""
        storage.remove([self._url(name) for name in sorted(names, key=_markers_first)])


def _top(name: str) -> str:
    return name.partition("/")[0]


def _is_checkpoint(name: str) -> bool:
    return checkpoints.NAME.fullmatch(_top(name)) is not None


def _is_whole(folder: Path) -> bool:
    return _is_checkpoint(folder.name) and checkpoints.is_complete(folder)


def _complete_last(file: Path) -> bool:
    return file.name == checkpoints.COMPLETE_FILE


def _markers_first(name: str) -> bool:
    return PurePosixPath(name).name not in ("latest", "best", checkpoints.COMPLETE_FILE)


def _local_latest(folder: Path) -> str | None:
    """Complete checkpoint that the local run resumes from."""
    try:
        name = files.read_text(folder / "latest", largest=1024).strip()
    except (OSError, UnicodeDecodeError):
        return None
    return name if checkpoints.NAME.fullmatch(name) and _is_whole(folder / name) else None


def _step(checkpoint: str | None) -> int:
    """Step of a checkpoint by its name; -1 for none."""
    found = checkpoints.NAME.fullmatch(checkpoint or "")
    return int(found[1]) if found else -1
