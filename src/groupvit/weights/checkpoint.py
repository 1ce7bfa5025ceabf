"""Our checkpoint folder: `config.json` (architecture, origin, words) and `model.safetensors`."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from groupvit import files
from groupvit.config import from_values, to_values
from groupvit.errors import InputError, listed
from groupvit.model.config import GroupViTConfig
from groupvit.model.groupvit import GroupViT
from groupvit.model.inference import DEFAULT_INFERENCE, InferenceConfig
from groupvit.text.background import Background
from groupvit.text.coverage import Coverage
from groupvit.values import read_json
from groupvit.weights.architecture import blank
from groupvit.weights.layouts import check_names

Part = TypeVar("Part")
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
FORMAT = "groupvit-2"
"""Value of `format` in the `config.json` of a checkpoint."""
EXPORTED = "groupvit-export-2"
"""The same of an exported model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Origin of the weights of a model."""

    source: str
    """The name, folder or file that they were read from."""
    layout: str = "groupvit"
    """Layout of the names in the source."""
    trained: bool = True
    """False for weights drawn at random."""


class LoadedModel(NamedTuple):
    """A model, its origin, and its settings of inference."""

    model: GroupViT
    origin: Origin
    inference: InferenceConfig = DEFAULT_INFERENCE
    """Settings of segmentation that suit the model."""
    background: Background | None = None
    """Calibrated thresholds of the background; None: not calibrated."""
    coverage: Coverage = Coverage()
    """Domain and words of the training data; empty for weights from elsewhere."""


def save(
    folder: Path,
    model: GroupViT,
    origin: Origin,
    *,
    inference: InferenceConfig = DEFAULT_INFERENCE,
    background: Background | None = None,
    coverage: Coverage = Coverage(),  # noqa: B008 - it is frozen
    half: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a checkpoint folder; it appears whole or not at all.

    Args:
        folder: Where.
        model: The network.
        origin: Origin of the weights.
        inference: Settings of segmentation that suit the model.
        background: Calibrated thresholds of the background.
        coverage: Domain and words of the training data.
        half: Write matrices and kernels in half precision; see `halved`.
        overwrite: Replace a model folder that exists.

    Raises:
        InputError: The folder exists and may not be replaced, or cannot be written.
    """
    config = {
        "format": FORMAT,
        "model": to_values(model.config),
        "inference": to_values(inference),
        "origin": to_values(origin),
    }
    if background is not None:
        config["background"] = to_values(background)
    if coverage != Coverage():
        config["coverage"] = to_values(coverage)
    tensors = model.state_dict()
    write_folder(
        folder,
        {CONFIG_FILE: as_json(config)},
        halved(tensors, where=str(folder)) if half else tensors,
        overwrite=overwrite,
    )


def halved(tensors: Mapping[str, Tensor], *, where: str) -> dict[str, Tensor]:
    """Matrices and kernels in half precision; tensors of fewer axes, which are small, stay.

    A model that is loaded from them computes in float32.

    Raises:
        InputError: A value is too large for half precision, 65,504 at most.
    """
    found = {
        name: tensor.half() if tensor.ndim > 1 and tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
    for name, tensor in found.items():
        if not tensor.isfinite().all():
            raise InputError(
                f"{where} cannot be written in half precision, as values of {name} are too large; "
                "leave it in single precision"
            )
    return found


def as_json(values: Mapping[str, Any]) -> str:
    """The values as the text of a JSON file."""
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def write_folder(
    folder: Path, texts: Mapping[str, str], tensors: Mapping[str, Tensor], *, overwrite: bool
) -> None:
    """Write these text files and `model.safetensors`; the folder appears whole or not at all."""
    with new_folder(folder, overwrite=overwrite) as beside:
        whole = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
        save_file(whole, beside / WEIGHTS_FILE, metadata={"format": "pt"})
        for name, text in texts.items():
            (beside / name).write_text(text, encoding="utf-8")
        (beside / WEIGHTS_FILE).chmod(0o644)


@contextmanager
def new_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder to fill, beside the place where it belongs; it goes there when all is written.

    Raises:
        InputError: The folder exists and may not be replaced, or cannot be written.
    """
    try:
        check_free(folder, overwrite=overwrite)
        with files.new_folder(folder) as beside:
            yield beside
    except (OSError, SafetensorError) as error:
        raise InputError(f"{folder} cannot be written: {error}") from error


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse to replace anything, or anything but a model folder; an empty folder is free.

    Raises:
        InputError: Something is there that may not be replaced.
    """
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() and not overwrite:
        raise InputError(f"{folder} exists already; choose another folder or pass --overwrite")
    if folder.exists() and not (folder / CONFIG_FILE).exists():
        raise InputError(f"{folder} is no model folder, so it is not replaced; choose another")


def read_config(folder: Path) -> dict[str, Any]:
    """Content of the `config.json` of a folder, ours or Hugging Face's."""
    path = folder / CONFIG_FILE
    try:
        values = read_json(path)
    except FileNotFoundError as error:
        raise InputError(f"{folder} has no {CONFIG_FILE}; it is no model folder") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no settings")
    return values


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` file by name."""
    try:
        return dict(load_file(path))
    except FileNotFoundError as error:
        raise InputError(f"no weights at {path}") from error
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is damaged or no safetensors file: {error}") from error


def load(folder: Path) -> LoadedModel:
    """Read a checkpoint folder of ours.

    Raises:
        InputError: A file is missing or damaged, or the weights do not fit the architecture.
    """
    values = read_config(folder)

    def part(kind: type[Part], name: str) -> Part:
        return from_values(kind, values.get(name), where=f"{folder / CONFIG_FILE}: {name}")

    config, origin = part(GroupViTConfig, "model"), part(Origin, "origin")
    inference = part(InferenceConfig, "inference")
    background = part(Background, "background") if "background" in values else None
    coverage = read_coverage(folder, values)
    path = folder / WEIGHTS_FILE
    model = fill(config, read_safetensors(path), where=str(path))
    return LoadedModel(model, origin, inference, background, coverage)


def read_coverage(folder: Path, values: Mapping[str, Any] | None = None) -> Coverage:
    """Domain and words of the model in a checkpoint folder of ours; empty if it has none.

    Args:
        folder: The folder.
        values: Content of its `config.json`, if that was read already.

    Raises:
        InputError: The file is missing or damaged.
    """
    stored = (read_config(folder) if values is None else values).get("coverage", {})
    return from_values(Coverage, stored, where=f"{folder / CONFIG_FILE}: coverage")


def fill(
    config: GroupViTConfig,
    tensors: Mapping[str, Tensor],
    *,
    where: str,
    called: Callable[[str], Iterable[str]] = lambda name: [name],
) -> GroupViT:
    """A model of this architecture with these values, in float32 and evaluation mode.

    Args:
        config: The architecture.
        tensors: The values, by our names.
        where: Name of the place in messages.
        called: Names in the place of the parts of a tensor of ours.

    Raises:
        InputError: A tensor is missing, left over, of the wrong shape or not finite; the message
            lists them.
    """
    model = blank(config)
    expected = model.state_dict()
    try:
        missing = [theirs for name in expected.keys() - tensors for theirs in called(name)]
        check_names(missing, list(tensors.keys() - expected))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    wrong = [
        f"{name} is {tuple(tensors[name].shape)} instead of {tuple(wanted.shape)}"
        for name, wanted in expected.items()
        if tensors[name].shape != wanted.shape
    ]
    if wrong:
        raise InputError(f"{where}: tensors of the wrong shape: {listed(wrong, separator='; ')}")
    values = {name: tensors[name].to(wanted.dtype) for name, wanted in expected.items()}
    check_finite(values, where=where)
    model.load_state_dict(values, assign=True)
    return model.eval()


def check_finite(tensors: Mapping[str, Tensor], *, where: str) -> None:
    """Refuse values that are infinite or no numbers, with which every result would be nonsense.

    Raises:
        InputError: Names the place and some tensors.
    """
    # A sum is four times as fast as a test of every value, and not finite if any of them is not.
    broken = [
        name
        for name, tensor in tensors.items()
        if not (tensor.sum().isfinite() or tensor.isfinite().all())
    ]
    if broken:
        rest = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        raise InputError(
            f"{where}: values that are infinite or no numbers in {', '.join(broken[:3])}{rest}; "
            "the file is damaged or its training failed, choose another checkpoint"
        )
