"""One rank of distributed training: time of steps of 16 pairs per rank, on one core.

`benchmarks.growth` starts it once for each rank, with a folder for its result.
"""

import sys
from pathlib import Path
from statistics import median

import torch

from benchmarks.contest import in_turn
from benchmarks.learning import CLIP, OPTIM, PAIRS, drawn_batch
from groupvit import distributed
from groupvit.segmentation.preparation import normalize
from groupvit.training import batch_norm, optim
from groupvit.training.config import ObjectiveConfig
from groupvit.training.step import forward_backward, passes_of
from groupvit.weights import catalogue

ROUNDS = 4


def main(folder: Path) -> None:
    """Train together with all other ranks and write the median time."""
    with distributed.session("cpu") as ranks:
        model, batch = catalogue.load("random").model.train(), drawn_batch(PAIRS)
        batch_norm.synchronize(model, ranks)
        optimizer = optim.optimizer_of(model, OPTIM)
        images, config = normalize(batch.images), ObjectiveConfig()
        passes = passes_of(model, ranks, config, chunk=0)

        def step() -> None:
            optimizer.zero_grad()
            forward_backward(passes, images, batch, config, ranks, autocast=torch.bfloat16)
            optim.clip(model, CLIP)
            optimizer.step()

        (times,) = in_turn((step,), ROUNDS)
        torch.save(torch.tensor(median(times)), folder / f"{ranks.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
