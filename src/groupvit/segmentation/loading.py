"""Models of a segmenter by name: in PyTorch, or exported."""

from pathlib import Path
from typing import NamedTuple

import torch

from groupvit import cache
from groupvit.devices import usable
from groupvit.errors import InputError
from groupvit.exported.compiling import compiled
from groupvit.exported.folder import is_exported, read
from groupvit.exported.network import ExportedNetwork
from groupvit.exported.runtimes import Choice, choice, core, has_openvino
from groupvit.model.groupvit import GroupViT
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
    runtime: str,
) -> Loaded:
    """Load a model by name; see `Segmenter.load`.

    Raises:
        InputError: There is none, or the device or runtime does not exist or fit it.
    """
    chosen, folder = choice(runtime), Path(str(name)).expanduser()
    if is_exported(folder):
        return _exported(folder, device, dtype, chosen)
    if chosen == "onnxruntime":
        raise InputError(
            f"{name} is no exported model, so that {chosen} cannot run it; "
            "groupvit export makes one"
        )
    loaded = Loaded(*catalogue.load(name, revision=revision))
    if chosen == "torch" or usable(device).type != "cpu":
        if chosen == "openvino":
            raise InputError(f"openvino runs on the CPU, not on {device}; try cpu")
        return loaded
    network = _compiled(loaded.network, dtype, forced=chosen == "openvino")
    return loaded if network is None else loaded._replace(network=network)


def _compiled(model: Network, dtype: str, *, forced: bool) -> Network | None:
    """The model with compiled encoders; None if PyTorch is to compute."""
    assert isinstance(model, GroupViT)
    # Groups that are found inside an image follow small differences of the cues. PyTorch computes
    # these in float32 whatever the encoder computes in, OpenVINO in the encoder's precision.
    rounds_cues = dtype == "bfloat16" and model.config.image.grouping == "rounds"
    if not forced and (rounds_cues or not has_openvino() or cache.folder() is None):
        return None
    core()  # refused before the work if it is not installed
    return compiled(model, dtype=dtype, forced=forced)


def _exported(folder: Path, device: str | torch.device, dtype: str, runtime: Choice) -> Loaded:
    if str(device) not in ("auto", "cpu"):
        raise InputError(f"an exported model runs on the CPU, not on {device}; try cpu")
    if runtime == "torch":
        raise InputError(
            f"{folder} is an exported model, which PyTorch cannot run; give the model that it was "
            "exported from, or another --runtime"
        )
    if runtime == "auto":  # OpenVINO computes whole numbers slower than float32
        fits = has_openvino() and read(folder).precision == "float32"
        runtime = "openvino" if fits else "onnxruntime"
    network = ExportedNetwork(folder, runtime=runtime, dtype=dtype)
    of = network.settings
    return Loaded(network, of.origin, of.inference, of.background, of.coverage)
