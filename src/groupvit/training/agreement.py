"""Agreement of ranks on settings, data and checkpoint, before they train together."""

from collections.abc import Sequence
from typing import NamedTuple

from groupvit.config import differences
from groupvit.distributed import Ranks
from groupvit.errors import InputError
from groupvit.training import checkpoints
from groupvit.training.checkpoints import Progress
from groupvit.training.config import TrainingConfig
from groupvit.training.run_folder import RunFolder

LOCAL = frozenset(
    {
        "out",
        "device",
        "data.shards",
        "data.copies",
        "data.masks",
        "data.num_workers",
        "evaluate_folder",
    }
)
"""Settings that may differ between ranks."""


class View(NamedTuple):
    """Everything that a rank begins with and that must be the same on all ranks."""

    config: TrainingConfig
    sizes: tuple[tuple[int, int], ...]
    """Samples and captions of each shard, then images and labels of each folder with masks."""
    checkpoint: str | None
    """Name of the checkpoint that the rank resumes from."""
    progress: Progress | None
    """Counters of that checkpoint."""


def check(
    config: TrainingConfig, sizes: tuple[tuple[int, int], ...], run: RunFolder, ranks: Ranks
) -> None:
    """Refuse ranks that would train apart, such as nodes whose run folders are not the same.

    All ranks must call it.

    Raises:
        InputError: A rank has other settings, other shards or another checkpoint than rank 0.
    """
    latest = run.latest()
    view = View(
        config,
        sizes,
        None if latest is None else latest.name,
        None if latest is None else checkpoints.read_progress(latest),
    )
    compare(ranks.gather_objects(view))


def compare(views: Sequence[View]) -> None:
    """Refuse views that differ, that of rank 0 first; see `check`."""
    for rank, view in enumerate(views):
        changed = differences(views[0].config, view.config)
        for name in sorted(changed.keys() - LOCAL):
            one, other = changed[name]
            raise InputError(f"{name} is {one!r} on rank 0 and {other!r} on rank {rank}; give one")
        if view.sizes != views[0].sizes:
            raise InputError(
                f"rank {rank} reads other shards or folders with masks than rank 0; give all nodes "
                "the same data.shards and data.masks"
            )
        if view[2:] != views[0][2:]:
            raise InputError(
                f"rank 0 resumes from {_place(views[0])} and rank {rank} from {_place(view)}; put "
                "the run folder on a disk that all nodes share, or copy that of rank 0 to all nodes"
            )


def _place(view: View) -> str:
    if view.progress is None:
        return "no checkpoint"
    return f"{view.checkpoint} (step {view.progress.step})"
