"""A running average of the weights, which is often better than the weights of any one step."""

import copy

import torch
from torch import Tensor

from groupvit.model.groupvit import GroupViT

YOUNG = 10
"""Steps over which the memory grows from nothing, so that the first weights are soon forgotten."""


def decay_at(step: int, decay: float) -> float:
    """Share of the old average that the step, counted from 0, keeps."""
    return min(decay, (1 + step) / (YOUNG + step))


class EMA:
    """A model whose weights are the running average of another's.

    average <- decay * average + (1 - decay) * weights; what is no weight, such as the statistics of
    batch norms, is copied.
    """

    def __init__(self, model: GroupViT, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: GroupViT, step: int) -> None:
        """Take in the weights after this step."""
        old: list[Tensor] = [*self.model.parameters()]
        new: list[Tensor] = [*model.parameters()]
        torch._foreach_lerp_(old, new, 1 - decay_at(step, self.decay))
        for kept, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            kept.copy_(buffer)

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Set the average to these values."""
        self.model.load_state_dict(tensors)
