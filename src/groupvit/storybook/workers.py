"""Writing of a storybook by several processes, all files or none."""

import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np

from groupvit import files
from groupvit.errors import InputError
from groupvit.progress import OnProgress
from groupvit.storybook.scene import CLASSES
from groupvit.storybook.sheet import draw_sheet
from groupvit.storybook.writing import NAME, PAIRS, TEST, Counts, Job, Storybook, jobs

SHEET = "sheet.png"
"""Contact sheet with some scenes."""
_POLL = 0.1
"""Time between two calls of `on_progress` [seconds]."""


def write(
    out: Path,
    book: Storybook,
    *,
    workers: int | None = None,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> dict[str, float]:
    """Write shards, benchmark and contact sheet; returns the fraction of images with each class.

    Args:
        out: Folder of `pairs`, `test` and `sheet.png`.
        book: The settings.
        workers: Number of processes; None: one for each core. With 1, none is started.
        overwrite: Replace the files of an earlier run.
        on_progress: Called regularly with the number of images done, and of all images.

    Raises:
        InputError: A file exists already, the folder cannot be written, or `workers` is below 1.
    """
    workers = (os.cpu_count() or 1) if workers is None else workers
    if workers < 1:
        raise InputError(f"workers is {workers}; give at least 1")

    def on_image(done: int) -> None:
        if on_progress is not None:
            on_progress(done, book.num + book.num_test)

    files.complete(out, NAME)
    _check_free(out, overwrite=overwrite)
    with files.temporary_folder(out, NAME) as beside:
        (beside / PAIRS).mkdir()
        counts = _write_all(jobs(beside, book), workers, on_image)
        draw_sheet(book.seed, patterned=book.patterned).save(beside / SHEET)
        files.replace_all(beside, out, NAME, obsolete=() if book.num_test else [TEST])
    return dict(zip(CLASSES, (counts / book.num).tolist(), strict=True))


def _check_free(out: Path, *, overwrite: bool) -> None:
    """Refuse to replace files without `overwrite`, and files that are no storybook."""
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


def _write_all(work: Sequence[Job], workers: int, on_image: Callable[[int], object]) -> Counts:
    workers = min(workers, len(work))
    if workers == 1:
        number = itertools.count(1)
        return _sum([job.write(lambda: on_image(next(number))) for job in work])
    # Spawned, as a fork of a process with threads may hang.
    context = multiprocessing.get_context("spawn")
    done, stop = context.Value("q", 0), context.Event()
    with ProcessPoolExecutor(workers, context, _initialize, (done, stop)) as pool:
        futures = [pool.submit(_run, job) for job in work]
        try:
            while wait(futures, _POLL).not_done:
                on_image(done.value)
            on_image(done.value)
            return _sum([future.result() for future in futures])
        finally:  # after an error or an interrupt the other processes stop too
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _sum(counts: Sequence[Counts]) -> Counts:
    total: Counts = np.stack(counts).sum(axis=0)
    return total


class StoppedError(Exception):
    """The main process has stopped the workers."""


_shared_state: tuple["Synchronized[int]", Event]


def _initialize(done: "Synchronized[int]", stop: Event) -> None:
    global _shared_state
    _shared_state = done, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt arrives as the event


def _run(job: Job) -> Counts:
    return job.write(_tick)


def _tick() -> None:
    done, stop = _shared_state
    if stop.is_set():
        raise StoppedError
    with done.get_lock():
        done.value += 1
