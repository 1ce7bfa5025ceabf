"""Evaluation on a few images while a model trains, and at its end."""

import torch
from torch.autograd.graph import increment_version

from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.evaluate import evaluate
from groupvit.evaluation.evaluation import Evaluation
from groupvit.model.groupvit import GroupViT
from groupvit.model.inference import InferenceConfig
from groupvit.segmentation.segmenter import Segmenter


def quick_evaluation(
    model: GroupViT,
    benchmark: Benchmark,
    *,
    inference: InferenceConfig,
    limit: int,
    device: str | torch.device,
    floors: bool = False,
) -> Evaluation:
    """Evaluation on the first images of a benchmark, by the protocol `quick`.

    Training or evaluation mode of every module and all random states stay as they were.

    Args:
        model: The network, on the device.
        benchmark: Images with masks.
        inference: Settings of segmentation.
        limit: Number of images, the first ones; 0: all.
        device: Device of the computation.
        floors: Measure the floors of the oracles too, which takes longer than the rest.

    Raises:
        InputError: An image or mask cannot be used.
    """
    # Caches of the model follow the version of its weights, which fused optimizers do not raise.
    increment_version(model.parameters())
    modes = {module: module.training for module in model.modules()}
    try:
        segmenter = Segmenter(model, inference=inference, protocol="quick", device=device)
        return evaluate(segmenter, benchmark, limit=limit or None, floors=floors)
    finally:
        for module, training in modes.items():
            module.training = training


def quick_scores(
    model: GroupViT,
    benchmark: Benchmark,
    *,
    inference: InferenceConfig,
    limit: int,
    device: str | torch.device,
) -> dict[str, float]:
    """Scores of `quick_evaluation`: `miou`, its floor `one_class_miou`, and `oracle_miou`, [0, 1].

    The floors of the oracle are measured at the end of a run.

    Raises:
        InputError: An image or mask cannot be used.
    """
    found = quick_evaluation(model, benchmark, inference=inference, limit=limit, device=device)
    return {
        "miou": found.scores.miou,
        "one_class_miou": found.one_class.miou,
        "oracle_miou": found.oracle.miou,
    }
