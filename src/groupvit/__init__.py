"""GroupViT: segmentation of images by words, learned from captions alone.

The names below are imported on first access, so that `groupvit --help` does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from groupvit.version import VERSION

if TYPE_CHECKING:
    from groupvit.bulk.results import read_masks
    from groupvit.errors import InputError
    from groupvit.model.groupvit import GroupViT
    from groupvit.segmentation.result import Segmentation
    from groupvit.segmentation.segmenter import Segmenter
    from groupvit.text.background import Background

__version__ = VERSION

__all__ = [
    "Background",
    "GroupViT",
    "InputError",
    "Segmentation",
    "Segmenter",
    "__version__",
    "read_masks",
]

_HOMES = {
    "Background": "groupvit.text.background",
    "GroupViT": "groupvit.model.groupvit",
    "InputError": "groupvit.errors",
    "Segmentation": "groupvit.segmentation.result",
    "Segmenter": "groupvit.segmentation.segmenter",
    "read_masks": "groupvit.bulk.results",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'groupvit' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
