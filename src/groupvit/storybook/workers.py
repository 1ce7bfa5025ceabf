"""A storybook written by several processes, whole or not at all."""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

from groupvit import files
from groupvit.errors import InputError
from groupvit.storybook.scene import CLASSES
from groupvit.storybook.sheet import draw_sheet
from groupvit.storybook.writing import NAME, PAIRS, TEST, Counts, Part, Storybook, parts, total

SHEET = "sheet.png"
"""Some scenes with their captions."""
_POLL = 0.1
"""How often progress is told [seconds]."""


def write(
    out: Path,
    book: Storybook,
    *,
    workers: int | None = None,
    overwrite: bool = False,
    on_progress: Callable[[int], object] | None = None,
) -> dict[str, float]:
    """Write shards, benchmark and contact sheet; gives the share of images with each class.

    Everything is written beside its place and then renamed.

    Args:
        out: The folder for `pairs`, `test` and `sheet.png`.
        book: What is to be written.
        workers: Number of processes; else one for each core. With 1, nothing is started.
        overwrite: Replace what an earlier run wrote.
        on_progress: Told now and then how many images are done.

    Raises:
        InputError: Something is there already, the folder cannot be written, or there are less
            than one worker.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers is {workers}; give at least 1")
    _check_free(out, overwrite=overwrite)
    with files.temporary_folder(out, "storybook") as beside:
        (beside / PAIRS).mkdir()
        counts = _work(parts(beside, book), workers or os.cpu_count() or 1, on_progress or _ignore)
        draw_sheet(book.seed).save(beside / SHEET)
        _replace(out, beside)
    return dict(zip(CLASSES, (counts / book.num).tolist(), strict=True))


def _ignore(done: int) -> None:
    del done


def _check_free(out: Path, *, overwrite: bool) -> None:
    """Refuse to replace anything, or anything but what we write."""
    for name in (PAIRS, TEST, SHEET):
        path = out / name
        if path.exists() and not overwrite:
            raise InputError(f"{path} exists already; choose another --out or pass --overwrite")
        if path.exists() and not _is_ours(path):
            raise InputError(f"{path} is no storybook, so it is not replaced; choose another --out")


def _is_ours(path: Path) -> bool:
    if path.name == SHEET:
        return path.is_file()
    if path.name == TEST:
        return (path / "classes.txt").is_file()
    return path.is_dir() and all(file.name.startswith(NAME) for file in path.iterdir())


def _replace(out: Path, beside: Path) -> None:
    for name in (PAIRS, TEST, SHEET):
        old, new = out / name, beside / name
        if new.exists():
            files.replace(new, old)
        elif old.is_dir():
            shutil.rmtree(old)


def _work(work: Sequence[Part], workers: int, on_progress: Callable[[int], object]) -> Counts:
    workers = min(workers, len(work))
    return _alone(work, on_progress) if workers == 1 else _shared(work, workers, on_progress)


def _alone(work: Sequence[Part], on_progress: Callable[[int], object]) -> Counts:
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        on_progress(done)

    return total([part.write(tick) for part in work])


def _shared(work: Sequence[Part], workers: int, on_progress: Callable[[int], object]) -> Counts:
    # Spawned, as a fork of a process with threads may hang.
    context = multiprocessing.get_context("spawn")
    done, stop = context.Value("q", 0), context.Event()
    with ProcessPoolExecutor(workers, context, _begin, (done, stop)) as pool:
        futures = [pool.submit(_write, part) for part in work]
        try:
            while wait(futures, _POLL).not_done:
                on_progress(done.value)
            on_progress(done.value)
            return total([future.result() for future in futures])
        finally:  # after a mistake or an interrupt nobody works on
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


class StoppedError(Exception):
    """The main process wants no more."""


_shared_state: tuple["Synchronized[int]", Event]


def _begin(done: "Synchronized[int]", stop: Event) -> None:
    global _shared_state
    _shared_state = done, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt reaches us as the event


def _write(part: Part) -> Counts:
    return part.write(_tick)


def _tick() -> None:
    done, stop = _shared_state
    if stop.is_set():
        raise StoppedError
    with done.get_lock():
        done.value += 1
