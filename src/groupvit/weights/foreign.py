"""Models that others saved: the original's `.pth` files and Hugging Face folders and files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from groupvit.errors import InputError
from groupvit.model.config import GroupViTConfig, ImageEncoderConfig
from groupvit.weights.architecture import HEAD_DIM, infer, with_heads
from groupvit.weights.checkpoint import (
    CONFIG_FILE,
    LoadedModel,
    Origin,
    fill,
    read_config,
    read_safetensors,
)
from groupvit.weights.layouts import HUGGING_FACE, ORIGINAL, Layout
from groupvit.weights.pickles import read, read_tensors, setting

PICKLED = frozenset({".pth", ".pt", ".bin"})
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
"""Weight files of a Hugging Face folder; the first that exists is read."""
RELEASED = ImageEncoderConfig()
"""Released image encoder, whose heads are known by its width."""
_ASSUMED = {
    ("vision_config", "hidden_act"): "gelu",
    ("vision_config", "layer_norm_eps"): 1e-5,
    ("vision_config", "assign_eps"): 1.0,
    ("text_config", "hidden_act"): "quick_gelu",
    ("text_config", "layer_norm_eps"): 1e-5,
}
"""Settings that our network fixes."""


def load_file(path: Path, *, heads: int | None = None) -> LoadedModel:
    """Read one file of weights, in whichever layout its names are.

    Args:
        path: The file.
        heads: Attention heads of the image encoder of an original file; None: by its settings.

    Raises:
        InputError: The file is damaged, of another kind, or its tensors make no GroupViT; or the
            number of heads is unknown, or another one than in the settings of the file.
    """
    pickled = read(path) if path.suffix in PICKLED and path.is_file() else None
    tensors = pickled.tensors if pickled else _read(path)
    layout = ORIGINAL if any(name.startswith("img_encoder.") for name in tensors) else HUGGING_FACE
    if layout is ORIGINAL:
        return _load_original(path, tensors, pickled and pickled.settings, heads)
    if heads is not None:
        raise InputError(f"{path} is no file of the original, so that --heads does not apply")
    beside = path.parent / CONFIG_FILE
    settings = read_config(path.parent) if beside.exists() else {}
    return _assemble(tensors, layout, settings, where=str(path))


def _load_original(
    path: Path, tensors: Mapping[str, Tensor], settings: object, heads: int | None
) -> LoadedModel:
    try:
        ours = ORIGINAL.to_ours(tensors)
        config = infer(ours)
        image, text = _original_heads(config, settings, heads)
        config = with_heads(config, image=image, text=text)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    model = fill(config, ours, where=str(path), called=ORIGINAL.foreign)
    return LoadedModel(model, Origin(source=str(path), layout=ORIGINAL.title))


def _original_heads(config: GroupViTConfig, settings: object, heads: int | None) -> tuple[int, int]:
    """Heads of both encoders of an original model, whose text encoder has one for 64 of its width.

    Raises:
        InputError: The network computes otherwise, or the heads of the image encoder are unknown.
    """
    for name, value in (("hard_assignment", True), ("qk_scale", None)):
        given = setting(settings, "model", "img_encoder", name)
        if given not in (None, value):
            raise InputError(f"img_encoder.{name} is {given}; this network has {value}")
    stated = setting(settings, "model", "img_encoder", "num_heads")
    if isinstance(stated, list) and stated and all(one == stated[0] for one in stated):
        stated = stated[0]
    if stated is not None and not isinstance(stated, int):
        raise InputError(f"img_encoder.num_heads is {stated}; this network has one for all stages")
    if heads is not None and stated not in (None, heads):
        raise InputError(f"--heads is {heads}, but the settings of the file have {stated}")
    released = RELEASED.num_heads if config.image.dim == RELEASED.dim else None
    image = next((one for one in (stated, heads, released) if one is not None), None)
    if image is None:
        raise InputError(
            "the file has no settings that state the attention heads of its image encoder, "
            f"{config.image.dim} wide; give their number: groupvit convert --heads"
        )
    return image, max(1, config.text.dim // HEAD_DIM)


def load_folder(folder: Path) -> LoadedModel:
    """Read a folder as `transformers` saves it."""
    found = [folder / name for name in WEIGHT_FILES if (folder / name).exists()]
    if not found:
        raise InputError(f"{folder} has no weights; looked for {' and '.join(WEIGHT_FILES)}")
    return _assemble(_read(found[0]), HUGGING_FACE, read_config(folder), where=str(found[0]))


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"no weights at {path}")
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    if path.suffix in PICKLED:
        return read_tensors(path)
    known = ", ".join(sorted({".safetensors", *PICKLED}))
    raise InputError(f"{path} is not a file of weights; supported suffixes are {known}")


def _assemble(
    tensors: Mapping[str, Tensor], layout: Layout, settings: Mapping[str, Any], *, where: str
) -> LoadedModel:
    try:
        ours = layout.to_ours(tensors)
        config = _with_settings(infer(ours), settings)
    except ValueError as error:  # ours, or a configuration that refuses what was read
        raise InputError(f"{where}: {error}") from error
    model = fill(config, ours, where=where, called=layout.foreign)
    return LoadedModel(model, Origin(source=where, layout=layout.title))


def _with_settings(config: GroupViTConfig, settings: Mapping[str, Any]) -> GroupViTConfig:
    """The architecture with what a Hugging Face `config.json` adds to the shapes."""
    for (part, name), value in _ASSUMED.items():
        given = _part(settings, part).get(name, value)
        if given != value:
            raise InputError(f"{part}.{name} is {given}; this network has {value}")
    heads = {
        part: _part(settings, part).get("num_attention_heads", default)
        for part, default in (
            ("vision_config", config.image.num_heads),
            ("text_config", config.text.num_heads),
        )
    }
    for part, number in heads.items():
        if not isinstance(number, int):
            raise InputError(f"{part}.num_attention_heads is {number!r}, which is not int")
    return with_heads(config, image=heads["vision_config"], text=heads["text_config"])


def _part(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """One tower's settings; old files write null where they have none."""
    part = settings.get(name) or {}
    if not isinstance(part, Mapping):
        raise InputError(f"{name} is {part!r}; it should be a table of settings")
    return part
