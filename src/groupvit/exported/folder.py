"""The folder of an exported model: what is in it, how it is read and written."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from groupvit.config import from_values, to_values
from groupvit.errors import InputError
from groupvit.model.config import GroupViTConfig
from groupvit.model.groupvit import GroupViT, patch_projector
from groupvit.model.inference import InferenceConfig
from groupvit.model.spatial import SpatialBlock
from groupvit.text.background import Background
from groupvit.text.coverage import Coverage
from groupvit.weights import checkpoint, hugging_face
from groupvit.weights.checkpoint import CONFIG_FILE, WEIGHTS_FILE, Origin

IMAGE_FILE = "image.onnx"
TEXT_FILE = "text.onnx"
Precision = Literal["float32", "int8"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """Content of the `config.json` of an exported model."""

    format: str
    """Version of the layout of the folder."""
    model: GroupViTConfig
    """Architecture."""
    origin: Origin
    """Origin of the weights."""
    precision: Precision
    """Number format of the matrices."""
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    """Settings of segmentation that suit the model."""
    background: Background | None = None
    """Calibrated thresholds of the background; None: not calibrated."""
    labels: tuple[str, ...] = ()
    """Labels that are used where none are given."""
    coverage: Coverage = field(default_factory=Coverage)
    """Domain and words of the training data."""


class Remainder(nn.Module):
    """Parameters that are used outside of the graphs.

    These are the temperature, the background layer, the spatial block and, where groups are found
    inside each image, the projector of patches, which projects segments too.
    """

    def __init__(self, config: GroupViTConfig) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.background_layer = (
            nn.Linear(config.embedding_dim, 1) if config.background_layer else None
        )
        self.spatial_block = SpatialBlock(config.spatial) if config.spatial else None
        self.patch_projector = (
            patch_projector(config) if config.image.grouping == "rounds" else None
        )


def is_exported(folder: Path) -> bool:
    """True for a folder with an exported model."""
    if not (folder / CONFIG_FILE).is_file():
        return False
    return checkpoint.read_config(folder).get("format") == checkpoint.EXPORTED


def read(folder: Path) -> Exported:
    """Settings in the folder.

    Raises:
        InputError: It holds no exported model, or its settings are damaged.
    """
    return from_values(Exported, checkpoint.read_config(folder), where=str(folder / CONFIG_FILE))


def read_remainder(folder: Path, config: GroupViTConfig) -> Remainder:
    """The tensors beside the graphs.

    Raises:
        InputError: The file is missing, damaged, or of another model.
    """
    found = checkpoint.read_safetensors(folder / WEIGHTS_FILE)
    remainder = Remainder(config)
    try:
        remainder.load_state_dict(found)
    except RuntimeError as error:
        raise InputError(f"{folder / WEIGHTS_FILE} does not fit {CONFIG_FILE}: {error}") from error
    return remainder.requires_grad_(requires_grad=False).eval()


def write_beside_graphs(folder: Path, settings: Exported, model: GroupViT) -> None:
    """Write all but the graphs: settings, tensors, tokenizer and preprocessing.

    The last two are there for other programs; ours brings its own.
    """
    config = model.config
    texts = {
        CONFIG_FILE: checkpoint.as_json(to_values(settings)),
        "preprocessor_config.json": checkpoint.as_json(
            hugging_face.image_processor(config.image.image_size)
        ),
        **hugging_face.tokenizer(config.text.context_length, config.text.vocabulary_size),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    save_file(remaining(model), folder / WEIGHTS_FILE, metadata={"format": "pt"})
    (folder / WEIGHTS_FILE).chmod(0o644)


def remaining(model: GroupViT) -> dict[str, Tensor]:
    """Values of the parameters of `Remainder`."""
    values = model.state_dict()
    return {name: values[name].contiguous() for name in Remainder(model.config).state_dict()}
