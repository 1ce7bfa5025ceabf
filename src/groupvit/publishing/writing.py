"""Folder of a model with its card, as the hub gets it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from groupvit import files
from groupvit.errors import InputError
from groupvit.evaluation import compare
from groupvit.evaluation.compare import StoredEvaluation
from groupvit.publishing.card import Facts, card
from groupvit.segmentation.network import fingerprint
from groupvit.training.config import TrainingConfig
from groupvit.training.run_folder import RunFolder
from groupvit.weights import checkpoint, hugging_face
from groupvit.weights.checkpoint import LoadedModel

CARD_FILE = "README.md"
Layout = Literal["groupvit", "huggingface"]


def settings_of(model: str) -> TrainingConfig | None:
    """Settings of a run; None if the model is not a run folder."""
    folder = Path(model).expanduser()
    return RunFolder(folder).settings() if (folder / "latest").is_file() else None


def read_evaluations(paths: Sequence[Path], loaded: LoadedModel) -> list[StoredEvaluation]:
    """Read evaluations of a model.

    Raises:
        InputError: A folder holds no evaluation, or one of other weights.
    """
    found = [compare.read(path) for path in paths]
    own = fingerprint(loaded.model) if paths else ""
    for path, one in zip(paths, found, strict=True):
        if one.measurement.fingerprint != own:
            raise InputError(f"{path} is the evaluation of other weights; evaluate this model")
    return found


def write(folder: Path, facts: Facts, *, overwrite: bool) -> list[str]:
    """Write a model and its card; return the names of the parts that the layout cannot hold.

    Args:
        folder: Folder to write.
        facts: The model, and facts for the card.
        overwrite: Replace a model folder that exists.

    Raises:
        InputError: The folder exists and may not be replaced, cannot be written, or the layout
            cannot hold this architecture.
    """
    model, origin, inference, background, coverage = facts.loaded
    if facts.layout == "huggingface":
        left_out = hugging_face.save(folder, model, overwrite=overwrite)
    else:
        left_out = []
        checkpoint.save(
            folder,
            model,
            origin,
            inference=inference,
            background=background,
            coverage=coverage,
            overwrite=overwrite,
        )
    files.write_text(folder / CARD_FILE, str(card(facts)))
    return left_out
