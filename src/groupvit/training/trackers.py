"""Experiment trackers that get the numbers of the log: Weights & Biases, MLflow.

Project, server and credentials are those of the libraries' environment variables, such as
`WANDB_PROJECT` and `MLFLOW_TRACKING_URI`. A resumed run continues the same run of the tracker,
whose id is kept in the run folder.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from groupvit import files
from groupvit.config import flat, to_values
from groupvit.errors import InputError
from groupvit.training.config import TrainingConfig
from groupvit.training.log import OnRecord

_LONGEST_ID = 128
"""Longest id of a run of a tracker [bytes]."""
_LONGEST_VALUE = 500
"""Longest value of a parameter that every MLflow server takes [characters]."""


@contextmanager
def opened(config: TrainingConfig, folder: Path) -> Iterator[OnRecord | None]:
    """Tracker of a run, which ends with the context; None without one.

    Args:
        config: Settings of the run.
        folder: Run folder, which exists.

    Raises:
        InputError: The tracker is not installed.
    """
    if config.tracker == "none":
        yield None
        return
    check(config)
    start = {"wandb": _wandb, "mlflow": _mlflow}[config.tracker]
    with start(config, folder) as on_record:
        yield on_record


def check(config: TrainingConfig) -> None:
    """Refuse a tracker that is not installed."""
    if config.tracker != "none":
        _imported(config.tracker)


@contextmanager
def _wandb(config: TrainingConfig, folder: Path) -> Iterator[OnRecord]:
    wandb = _imported("wandb")
    path = folder / "wandb-id"
    name = _id(path) or secrets.token_hex(8)
    files.write_text(path, f"{name}\n")
    settings = {"name": folder.name, "dir": str(folder), "config": to_values(config)}
    with wandb.init(id=name, resume="allow", **settings) as run:
        yield lambda step, record: run.log(dict(record), step=step)


@contextmanager
def _mlflow(config: TrainingConfig, folder: Path) -> Iterator[OnRecord]:
    mlflow = _imported("mlflow")
    path = folder / "mlflow-id"
    before = _id(path)
    with mlflow.start_run(run_id=before, run_name=folder.name) as run:
        files.write_text(path, f"{run.info.run_id}\n")
        if before is None:  # parameters of a run of MLflow cannot change
            settings = flat(to_values(config)).items()
            mlflow.log_params({name: str(value)[:_LONGEST_VALUE] for name, value in settings})
        yield lambda step, record: mlflow.log_metrics(dict(record), step=step)


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            f"tracker is {name!r}, which is not installed; install it with: pip install {name}"
        ) from error


def _id(path: Path) -> str | None:
    """Id in a file; None where the file is missing."""
    try:
        return files.read_text(path, largest=_LONGEST_ID).strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); delete it") from error
