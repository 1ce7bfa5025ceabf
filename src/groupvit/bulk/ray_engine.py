"""Ray as the engine: actors that hold the model, on this machine or on the nodes of a cluster."""

from collections import deque
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from groupvit.bulk.shards import Shard
from groupvit.bulk.worker import Done, Job, Worker
from groupvit.errors import InputError

_RETRIES = 3
"""Attempts that Ray makes for a shard whose actor was killed."""


def run(job: Job, shards: Sequence[Shard]) -> Iterator[Done]:
    """Segment shards by actors, one on each GPU of the cluster, or on each CPU if it has none.

    The cluster is that of `RAY_ADDRESS` or of this machine, else a new one of this machine. An
    actor that is killed is started again, and its shard retried. Actors without work take shards
    that others have not finished, so that no shard waits for a node that is gone; the results are
    the same.

    Raises:
        InputError: Ray is not installed, or the cluster cannot be reached.
    """
    ray = _connected()
    actors = _actors(ray, job, len(shards))
    waiting, unfinished = deque(shards), {shard.name: shard for shard in shards}
    tasks: dict[Any, tuple[Any, Shard]] = {}

    def start(actor: Any) -> None:
        shard = waiting.popleft() if waiting else _left_behind(unfinished, tasks)
        if shard is not None:
            tasks[actor.segment.remote(shard)] = actor, shard

    for actor in actors:
        start(actor)
    while unfinished:
        (task,), _ = ray.wait(list(tasks), num_returns=1)
        actor, shard = tasks.pop(task)
        try:
            done: Done = ray.get(task)
        except ray.exceptions.RayError as error:
            done = Done(
                shard.name, error=f"{shard.name}: Ray gave it up: {error}".partition("\n")[0]
            )
        if unfinished.pop(shard.name, None) is not None:
            yield done
        start(actor)


def _connected() -> Any:
    try:
        ray = import_module("ray")
    except ImportError as error:
        raise InputError(
            "--workers ray needs Ray, which is missing; install it with: pip install groupvit[ray]"
        ) from error
    try:
        ray.init(ignore_reinit_error=True, log_to_driver=False)
    except ConnectionError as error:
        raise InputError(f"no Ray cluster answers: {error}") from error
    return ray


def _actors(ray: Any, job: Job, most: int) -> list[Any]:
    """Actors for all GPUs, or for all CPUs, but no more than there are shards."""
    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    kind = ray.remote(
        num_cpus=1, num_gpus=1 if gpus else 0, max_restarts=-1, max_task_retries=_RETRIES
    )(Worker)
    return [kind.remote(job) for _ in range(min(gpus or int(resources.get("CPU", 1)), most))]


def _left_behind(unfinished: dict[str, Shard], tasks: dict[Any, tuple[Any, Shard]]) -> Shard | None:
    """Unfinished shard that one actor alone works on; None: there is none."""
    names = [shard.name for _, shard in tasks.values()]
    return next((one for name, one in unfinished.items() if names.count(name) == 1), None)
