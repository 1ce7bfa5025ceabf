"""Report at the end of a run: scores beside their floors, retrieval beside chance, group usage."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from groupvit.data.index import Shard
from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.during_training import quick_evaluation
from groupvit.evaluation.reports.floors import floor_scores, sentences
from groupvit.model.groupvit import GroupViT
from groupvit.model.inference import InferenceConfig
from groupvit.probes.retrieval import BATCH, Recall, Retrieval, pair_batches, retrieval
from groupvit.segmentation.preparation import normalize
from groupvit.training.group_usage import GroupUsage, group_usage

_CERTAIN = 2.0
"""Standard errors beyond which a recall is regarded as more than chance."""
_NEARLY_ONE = 1.5
"""Mean number of groups in use below which a stage has collapsed."""


def scores(
    model: GroupViT,
    benchmark: Benchmark,
    *,
    inference: InferenceConfig,
    limit: int,
    device: str | torch.device,
) -> list[str]:
    """Lines on the first images of a benchmark, by the protocol `quick`, with all floors.

    Raises:
        InputError: An image or mask cannot be used.
    """
    found = quick_evaluation(
        model, benchmark, inference=inference, limit=limit, device=device, floors=True
    )
    floors = ", ".join(f"{name} {100 * miou:.1f}" for name, miou in floor_scores(found).items())
    oracles = ", ".join(f"{100 * one.miou:.1f}" for one in found.oracles)
    return [
        f"on {found.num_images:,} images of {benchmark.name}: mIoU {100 * found.scores.miou:.1f}, "
        f"oracle of each stage {oracles}; floors: {floors}",
        *sentences(found),
    ]


def recalls(
    model: GroupViT,
    shards: Sequence[Shard],
    *,
    limit: int,
    trained_on: bool,
    device: str | torch.device,
) -> list[str]:
    """Lines on retrieval and group usage, for which no masks are needed.

    Args:
        model: Network, on the device and in evaluation mode.
        shards: Shards of pairs.
        limit: Number of pairs, spread evenly over the shards; 0: all.
        trained_on: The model was trained on these pairs.
        device: Device of the computation.

    Raises:
        InputError: None of the images can be decoded.
    """
    found = retrieval(model, shards, limit=limit or None, device=device)
    seen = "that it was trained on" if trained_on else "kept apart from training"
    lines = [f"on {found.num_images:,} pairs {seen}, {found.num_captions:,} captions:"]
    for name, recall, chance in (
        ("captions by image", found.captions, _chance_of_captions(found)),
        ("images by caption", found.images, {k: k / found.num_images for k in found.images.at}),
    ):
        lines.append(f"{name}: {_beside(recall, chance)}, {_verdict(recall, chance, found)}")
    if trained_on:
        lines.append(
            "pairs that a model was trained on flatter it; name shards without them in "
            "evaluate_shards, or a folder with masks in evaluate_folder"
        )
    return [*lines, *usage_lines(model, _usage(model, shards, device))]


def _beside(recall: Recall, chance: Mapping[int, float]) -> str:
    cells = (f"{100 * value:.1f} ({100 * chance[k]:.1f})" for k, value in recall.at.items())
    ks = ", ".join(map(str, recall.at))
    return f"recall at {ks} [%], by chance in brackets: {', '.join(cells)}"


def _chance_of_captions(found: Retrieval) -> dict[int, float]:
    """Recall of an image with the mean number of captions, in a random order of all captions."""
    each = found.num_captions / found.num_images
    return {k: 1 - max(0.0, 1 - k / found.num_captions) ** each for k in found.captions.at}


def _verdict(recall: Recall, chance: Mapping[int, float], found: Retrieval) -> str:
    """Comparison at the largest k; the images, not the captions, are independent of each other."""
    k = max(recall.at)
    gain, expected = recall.at[k] - chance[k], chance[k]
    spread = max(recall.at[k] * (1 - recall.at[k]), expected * (1 - expected))
    error = math.sqrt(spread / found.num_images)
    if gain > _CERTAIN * error:
        return f"more than chance by {100 * gain:.1f} ± {100 * error:.1f}"
    return f"nothing certain beyond chance ({100 * gain:+.1f} ± {100 * error:.1f})"


def _usage(
    model: GroupViT, shards: Sequence[Shard], device: str | torch.device
) -> GroupUsage | None:
    """Usage of the groups in a batch of the pairs."""
    for batch in pair_batches(model, shards, limit=BATCH):
        pixels = normalize(torch.from_numpy(np.ascontiguousarray(batch.images)).to(device))
        with torch.inference_mode():
            return group_usage(model.embed_image(pixels, num_stages=1).assignments)
    return None


def usage_lines(model: GroupViT, usage: GroupUsage | None) -> list[str]:
    """A line on the groups of each stage, which names a collapse."""
    if usage is None:
        return []
    totals = [stage.num_groups for stage in model.config.image.stages if stage.num_groups]
    lines = []
    for number, (total, used, largest) in enumerate(
        zip(totals, usage.groups_used.tolist(), usage.largest.tolist(), strict=True), start=1
    ):
        line = (
            f"stage {number}: {used:.1f} of {total} groups in use, the largest holds {largest:.0%}"
        )
        if used < _NEARLY_ONE < total:
            line += "; it has collapsed: nearly all patches are in one group"
        lines.append(line)
    return lines
