"""A quick look at a model while it trains."""

from pathlib import Path

import torch
from torch.autograd.graph import increment_version

from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.evaluate import evaluate
from groupvit.model.groupvit import GroupViT
from groupvit.model.inference import InferenceConfig
from groupvit.segmentation.segmenter import Segmenter


def quick_scores(
    model: GroupViT,
    folder: Path,
    *,
    inference: InferenceConfig,
    limit: int,
    device: str | torch.device,
) -> dict[str, float]:
    """The mIoU, and that of the oracle, on the first images of a folder, by the protocol `ours`.

    The model's mode and all states of randomness stay as they were.

    Args:
        model: The network, on the device.
        folder: With `images/`, `masks/` and `classes.txt`.
        inference: Settings of segmentation.
        limit: How many images, the first by name; 0: all.
        device: Where to compute.

    Returns:
        `miou` and `oracle_miou`, in [0, 1].

    Raises:
        InputError: The folder is no benchmark, or a file in it cannot be used.
    """
    benchmark = read_folder(folder)
    # A fused optimizer does not; without it, what the model remembers of older weights would count.
    increment_version(model.parameters())
    modes = {module: module.training for module in model.modules()}
    try:
        found = evaluate(
            Segmenter(model, inference=inference, device=device),
            benchmark,
            limit=limit or None,
        )
    finally:
        for module, training in modes.items():
            module.training = training
    return {"miou": found.scores.miou, "oracle_miou": found.oracle.miou}
