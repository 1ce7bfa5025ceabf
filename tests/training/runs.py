"""What a run leaves behind, as far as it does not depend on time."""

import json
from pathlib import Path

import torch

from groupvit.training.run_folder import RunFolder
from groupvit.weights import checkpoint

DRAWN = ("loss", "loss/caption", "loss/multi_label", "accuracy", "gradient", "lr", "miou")


def trace(run):
    """What the log says of each step."""
    lines = map(json.loads, (Path(run) / "log.jsonl").read_text().splitlines())
    return [(line["step"], *[line[name] for name in DRAWN if name in line]) for line in lines]


def weights(run, step=None):
    """The weights of the latest checkpoint, or of that of a step."""
    folder = RunFolder(Path(run)).latest() if step is None else Path(run) / f"step-{step:06d}"
    return checkpoint.load(folder).model.state_dict()


def equal(one, other):
    """Whether all tensors of the one are those of the other, bit for bit."""
    return all(torch.equal(one[name], other[name]) for name in one)
