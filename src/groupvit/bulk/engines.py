"""Engines: who hands out the shards of a run. Each gives a report on every shard, as it is done.

A worker is the unit; it knows nothing of the others. An engine may lose workers, or hand out a
shard twice: a result appears under its name in one step, and equal shards give equal bytes.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import torch

from groupvit.bulk.shards import Shard
from groupvit.bulk.worker import Done, Job, Worker
from groupvit.errors import InputError

Engine = Callable[[Job, Sequence[Shard]], Iterator[Done]]

_ATTEMPTS = 3
"""Process pools in a row that may break before one of their shards is done."""

_worker: Worker | None = None
"""Worker of this process, in a pool."""


@dataclass(frozen=True, slots=True)
class Part:
    """Share of this process in the shards of a run that many processes split between them."""

    number: int = 0
    num_parts: int = 1

    def of(self, shards: Sequence[Shard]) -> list[Shard]:
        """Shards of this part: every `num_parts`-th, so that neighbors are done at a time."""
        return list(shards[self.number :: self.num_parts])


def part_of(environment: Mapping[str, str]) -> Part:
    """Part of this process, by the variables of SLURM job arrays, srun and torchrun.

    Array tasks are split first, then the processes of each by their rank.

    Raises:
        InputError: A variable is no number.
    """

    def number(name: str, default: int) -> int:
        try:
            return int(environment.get(name) or default)
        except ValueError:
            raise InputError(f"{name} is {environment[name]!r}; it should be a number") from None

    index, count = 0, 1
    if "SLURM_ARRAY_TASK_ID" in environment:
        first = number("SLURM_ARRAY_TASK_MIN", 0)
        index = (number("SLURM_ARRAY_TASK_ID", 0) - first) // number("SLURM_ARRAY_TASK_STEP", 1)
        count = number("SLURM_ARRAY_TASK_COUNT", 1)
    if "RANK" in environment:
        rank, ranks = number("RANK", 0), number("WORLD_SIZE", 1)
    else:  # a batch script has a rank too, but only a step started by srun has several processes
        rank, ranks = number("SLURM_PROCID", 0), number("SLURM_STEP_NUM_TASKS", 1)
    return Part(index * ranks + rank, count * ranks) if rank < ranks else Part(index, count)


def here(job: Job, shards: Sequence[Shard]) -> Iterator[Done]:
    """Segment the shards in this process."""
    return map(Worker(job).segment, shards)


def processes(job: Job, shards: Sequence[Shard], *, workers: int) -> Iterator[Done]:
    """Segment the shards in several processes, on one GPU each if there are several.

    If a process is killed, its shards are done again by others.

    Raises:
        InputError: Processes are killed again and again.
    """
    remaining = {shard.name: shard for shard in shards}
    left = _ATTEMPTS
    while remaining and left:
        left -= 1
        with _pool(job, workers) as pool:
            futures = [pool.submit(_segment, shard) for shard in remaining.values()]
            try:
                for future in as_completed(futures):
                    done = future.result()
                    del remaining[done.name]
                    left = _ATTEMPTS
                    yield done
            except BrokenProcessPool:
                continue
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in multiprocessing.active_children():
                    process.terminate()
                raise
    if remaining:
        raise InputError(
            f"workers were killed {_ATTEMPTS} times in a row, perhaps for lack of memory; give "
            "fewer --workers or a smaller --batch-size, and repeat the command"
        )


def _pool(job: Job, workers: int) -> ProcessPoolExecutor:
    # A server that has imported torch forks the workers; what uses threads is not copied.
    context: Any = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
    if sys.platform != "win32":
        context.set_forkserver_preload([__name__])
    threads = max(1, torch.get_num_threads() // workers)
    begun = (job, threads, context.Value("i", 0))
    return ProcessPoolExecutor(workers, context, initializer=_begin, initargs=begun)


def _begin(job: Job, threads: int, started: Any) -> None:
    """Make the worker of a process of the pool, which ends with the process that started it."""
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that process ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    with started.get_lock():
        number = started.value
        started.value += 1
    _worker = Worker(job, gpu(number))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _segment(shard: Shard) -> Done:
    assert _worker is not None
    return _worker.segment(shard)


def gpu(number: int) -> str | None:
    """GPU of the worker of this number on the machine; None: there are not several."""
    count = torch.cuda.device_count()
    return f"cuda:{number % count}" if count > 1 else None
