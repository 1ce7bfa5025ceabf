"""Checkpoint of a run: a model folder with the state that resuming needs.

`config.json` and `model.safetensors` are those of any model folder; they hold the averaged weights
where an EMA is kept. `training.safetensors` holds the state of the optimizer and, with an EMA, the
weights themselves; `training.json` the counters. No random state is stored: every step is seeded
from its number. `complete` is written last. Nothing is pickled.
"""

import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import AdamW

from groupvit import files
from groupvit.config import from_values, to_values
from groupvit.errors import InputError
from groupvit.model.groupvit import GroupViT
from groupvit.model.inference import DEFAULT_INFERENCE, InferenceConfig
from groupvit.text.coverage import Coverage
from groupvit.training import optim
from groupvit.training.ema import EMA
from groupvit.values import read_json
from groupvit.weights import checkpoint
from groupvit.weights.checkpoint import Origin

NAME = re.compile(r"step-(\d+)")
"""Name of a checkpoint in a run; others, such as copies, are left alone."""
TENSORS_FILE = "training.safetensors"
COUNTERS_FILE = "training.json"
COMPLETE_FILE = "complete"
WEIGHTS, OPTIMIZER = "weights/", "optimizer/"
"""Prefixes of the names in `training.safetensors`."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """Counters of a run."""

    global_batch_size: int
    """Pairs of a step on all ranks."""
    step: int = 0
    """Steps done, skipped ones included."""
    damaged: int = 0
    """Pairs that were replaced or lack their last bytes, on all ranks; see `Batch.damaged`."""
    skipped: int = 0
    """Steps without update, because the loss or the gradient was not finite."""
    skipped_in_a_row: int = 0
    """Skipped steps since the last update."""
    miou: float | None = None
    """Score of the last evaluation."""
    best_miou: float | None = None
    """Highest score of an evaluation."""

    def count(self, *, damaged: int, skipped: bool) -> None:
        """Count a finished step."""
        self.step += 1
        self.damaged += damaged
        self.skipped += skipped
        self.skipped_in_a_row = self.skipped_in_a_row + 1 if skipped else 0

    def score(self, miou: float) -> bool:
        """Record a score; returns True if it is the best so far (NaN never is)."""
        self.miou = miou
        improved = miou > (-math.inf if self.best_miou is None else self.best_miou)
        if improved:
            self.best_miou = miou
        return improved


class Snapshot(NamedTuple):
    """Content of a checkpoint."""

    model: GroupViT
    optimizer: AdamW
    average: EMA | None
    progress: Progress
    inference: InferenceConfig = DEFAULT_INFERENCE
    coverage: Coverage = Coverage()

    @property
    def evaluated(self) -> GroupViT:
        """Model that is evaluated and saved: the EMA, if there is one."""
        return self.average.model if self.average else self.model


def write(folder: Path, state: Snapshot, *, run: str) -> None:
    """Write a checkpoint folder beside its place, and move it there once all of it is on disk.

    Raises:
        InputError: The disk refuses; what was there before stays.
    """
    origin = Origin(source=f"trained in {run} for {state.progress.step} steps")
    try:
        with files.new_folder(folder) as beside:
            checkpoint.save(
                beside,
                state.evaluated,
                origin,
                inference=state.inference,
                coverage=state.coverage,
            )
            save_file(_tensors(state), beside / TENSORS_FILE, metadata={"format": "pt"})
            counters = checkpoint.as_json(to_values(state.progress))
            (beside / COUNTERS_FILE).write_text(counters, encoding="utf-8")
            (beside / COMPLETE_FILE).touch()
    except (SafetensorError, InputError) as error:
        raise InputError(f"{folder} cannot be written: {error.__cause__ or error}") from error


def read(folder: Path, state: Snapshot) -> Snapshot:
    """The state that the checkpoint holds; model, optimizer and average are changed in place.

    Raises:
        InputError: The checkpoint is incomplete or damaged, or its steps had another batch size.
    """
    if not is_complete(folder):
        raise InputError(
            f"{folder} is not a complete checkpoint; write the name of an older one into "
            f"{folder.parent / 'latest'}, or pass --fresh to start again"
        )
    progress = read_progress(folder)
    if progress.global_batch_size != state.progress.global_batch_size:
        raise InputError(
            f"{folder} was trained with {progress.global_batch_size} pairs in a step, and now "
            f"there are {state.progress.global_batch_size} (ranks x data.batch_size); "
            "change data.batch_size"
        )
    saved = checkpoint.read_safetensors(folder / checkpoint.WEIGHTS_FILE)
    tensors = checkpoint.read_safetensors(folder / TENSORS_FILE)
    checkpoint.check_finite(saved, where=str(folder / checkpoint.WEIGHTS_FILE))
    checkpoint.check_finite(tensors, where=str(folder / TENSORS_FILE))
    try:
        if state.average:
            state.average.restore(saved)
        state.model.load_state_dict(_below(WEIGHTS, tensors) if state.average else saved)
        optim.restore(state.optimizer, _below(OPTIMIZER, tensors))
    except (RuntimeError, LookupError, ValueError, TypeError) as error:
        raise InputError(
            f"{folder} holds other tensors than this run needs ({str(error)[:200]!r}); write the "
            f"name of an older checkpoint into {folder.parent / 'latest'}"
        ) from error
    return state._replace(progress=progress)


def is_complete(folder: Path) -> bool:
    """True if the checkpoint was written to its end."""
    return (folder / COMPLETE_FILE).exists()


def read_progress(folder: Path) -> Progress:
    """Counters of the run at the checkpoint."""
    path = folder / COUNTERS_FILE
    try:
        values = read_json(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    return from_values(Progress, values, where=str(path))


def remove(folder: Path) -> None:
    """Delete a checkpoint folder if it exists; a half deleted one counts as incomplete."""
    if folder.exists():
        (folder / COMPLETE_FILE).unlink(missing_ok=True)
        shutil.rmtree(folder)


def _tensors(state: Snapshot) -> dict[str, Tensor]:
    remembered = optim.state_of(state.optimizer)
    tensors = {OPTIMIZER + name: tensor for name, tensor in remembered.items()}
    if state.average:
        weights = state.model.state_dict()
        tensors |= {WEIGHTS + name: tensor.contiguous() for name, tensor in weights.items()}
    return tensors


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
