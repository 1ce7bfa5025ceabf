"""Settings of a run that may differ when it is resumed: some always, others if they are named."""

from collections.abc import Mapping, Sequence
from typing import Any

from groupvit.config import flat, to_values
from groupvit.errors import InputError
from groupvit.training.config import TrainingConfig

Difference = tuple[Any, Any]
"""Value of a setting before and after."""

SHARDS, SOURCES, MASKS, CACHE = "data.shards", "data.sources", "data.masks", "data.cache"

CHANGEABLE = frozenset(
    {
        "out",
        "steps",
        "domain",
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
        "tracker",
        "data.batch_size",  # the trainer compares the global batch
        "data.num_workers",
        "data.copies",
        CACHE,
    }
)
"""Settings that may differ without being named."""
FIXED = ("model", "freeze", "ema_decay")
"""Settings that decide which tensors a checkpoint has, so that they cannot differ."""


def covers(names: Sequence[str], setting: str) -> bool:
    """True if the setting, or a table that it stands in, is among the names."""
    return any(setting == name or setting.startswith(f"{name}.") for name in names)


def check_names(names: Sequence[str], config: TrainingConfig) -> None:
    """Refuse names of no setting, and of settings that cannot change in a run.

    Raises:
        InputError: Names the first of them.
    """
    settings = flat(to_values(config))
    for name in names:
        if not any(covers([name], setting) for setting in settings):
            raise InputError(f"--changed: there is no setting {name!r}; an example is optim.lr")
        if covers(FIXED, name):
            raise InputError(
                f"--changed: {name} cannot change in a run, as its checkpoints would not fit; "
                "start another --out from a checkpoint (--start)"
            )


def refused(differences: Mapping[str, Difference], names: Sequence[str]) -> dict[str, Difference]:
    """Differences that neither may always be nor are named."""
    return {
        name: values
        for name, values in differences.items()
        if name not in CHANGEABLE and not covers(names, name)
    }


def named(differences: Mapping[str, Difference], names: Sequence[str]) -> dict[str, Difference]:
    """Differences that are only allowed because they are named; a run records them."""
    return {
        name: values
        for name, values in differences.items()
        if name not in CHANGEABLE and covers(names, name)
    }
