"""Exponential moving average (EMA) of the weights, often better than those of any one step."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from groupvit.model.groupvit import GroupViT

WARM_UP = 10
"""Steps over which the decay grows from nothing, so that the first weights are soon forgotten."""


def decay_at(step: int, decay: float) -> float:
    """Share of the old average that the step, counted from 0, keeps."""
    return min(decay, (1 + step) / (WARM_UP + step))


class EMA:
    """Model with the moving average of another model's weights.

    average <- decay * average + (1 - decay) * weights; buffers, such as the statistics of batch
    norms, are copied.

    Args:
        model: Model whose weights are averaged; the average begins with its weights.
        decay: Decay after the warm-up, [0, 1).
    """

    def __init__(self, model: GroupViT, decay: float) -> None:
        def average(old: Sequence[Tensor], new: Sequence[Tensor], count: Tensor | int) -> None:
            torch._foreach_lerp_(list(old), list(new), 1 - decay_at(int(count) - 1, decay))

        self._averaged = AveragedModel(model, multi_avg_fn=average)
        self._averaged.eval().requires_grad_(requires_grad=False)

    @property
    def model(self) -> GroupViT:
        """Model with the averaged weights, in evaluation mode."""
        return cast(GroupViT, self._averaged.module)

    @torch.no_grad()
    def update(self, model: GroupViT, step: int) -> None:
        """Include the weights after this step, counted from 0."""
        self._averaged.n_averaged.fill_(1 + step)  # at 0 the weights would replace the average
        self._averaged.update_parameters(model)

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Set the average to these values, by the names of the model."""
        self.model.load_state_dict(tensors)
