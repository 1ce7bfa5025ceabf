"""A quick look at a model while it trains."""

from pathlib import Path

import torch
from torch.autograd.graph import increment_version

from groupvit.evaluation.evaluate import evaluate
from groupvit.evaluation.folder import Folder
from groupvit.model.groupvit import GroupViT
from groupvit.segmentation.segmenter import Segmenter

THRESHOLD = 0.5
"""Score below which groups are background, where the folder has one [0, 1]."""


def quick_scores(
    model: GroupViT, folder: Path, *, limit: int, device: str | torch.device
) -> dict[str, float]:
    """The mIoU, and that of the oracle, on the first pictures of a folder, by the protocol `ours`.

    The model's mode and all states of randomness stay as they were.

    Args:
        model: The network, on the device.
        folder: With `images/`, `masks/` and `classes.txt`.
        limit: How many pictures, the first by name; 0: all.
        device: Where to compute.

    Returns:
        `miou` and `oracle_miou`, in [0, 1].

    Raises:
        InputError: The folder is no benchmark, or a file in it cannot be used.
    """
    benchmark = Folder.read(folder)
    # A fused optimizer does not; without it, what the model remembers of older weights would count.
    increment_version(model.parameters())
    modes = {module: module.training for module in model.modules()}
    try:
        found = evaluate(
            Segmenter(model, device=device),
            benchmark,
            limit=limit or None,
            background_threshold=THRESHOLD if benchmark.has_background else None,
        )
    finally:
        for module, training in modes.items():
            module.training = training
    return {"miou": found.scores.miou, "oracle_miou": found.oracle.miou}
