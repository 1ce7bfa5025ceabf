"""Models of a segmenter by name: in PyTorch, or exported."""

from pathlib import Path
from typing import NamedTuple

import torch

from groupvit.errors import InputError
from groupvit.exported.folder import is_exported
from groupvit.exported.network import ExportedNetwork
from groupvit.exported.runtimes import Runtime
from groupvit.model.inference import InferenceConfig
from groupvit.segmentation.network import Network
from groupvit.text.background import Background
from groupvit.text.coverage import Coverage
from groupvit.weights import catalogue
from groupvit.weights.checkpoint import Origin


class Loaded(NamedTuple):
    """A model, and what is stored with it."""

    network: Network
    origin: Origin
    inference: InferenceConfig
    background: Background | None
    coverage: Coverage


def load(
    name: str | Path,
    *,
    revision: str | None,
    device: str | torch.device,
    dtype: str,
    runtime: Runtime | None,
) -> Loaded:
    """Load a model by name; see `Segmenter.load`.

    Raises:
        InputError: There is none, or the device or runtime does not fit it.
    """
    folder = Path(str(name)).expanduser()
    if is_exported(folder):
        if str(device) not in ("auto", "cpu"):
            raise InputError(f"an exported model runs on the CPU, not on {device}; try cpu")
        network = ExportedNetwork(folder, runtime=runtime or "onnxruntime", dtype=dtype)
        of = network.settings
        return Loaded(network, of.origin, of.inference, of.background, of.coverage)
    if runtime is not None:
        raise InputError(
            f"{name} is no exported model, so that {runtime} cannot run it; "
            "groupvit export makes one"
        )
    return Loaded(*catalogue.load(name, revision=revision))
