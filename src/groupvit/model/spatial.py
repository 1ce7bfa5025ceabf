"""Spatial regularization: one learned 3 x 3 convolution of the similarities to each label.

The maps of all labels share the convolution, so that it takes any number of labels in any order.
With x_l the map of label l, w and b the kernel and the bias, and f the activation,

    depthwise:    y_l = f(w * x_l + b)
    bottleneck:   y_l = f(w * x_l + b + max over the labels m of x_m)

repeated `depth` times with the same weights, the last time without f (Li et al. 2022,
Language-driven Semantic Segmentation, section 3.3).
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from groupvit.model.config import SpatialConfig

_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "tanh": torch.tanh,
}
_CENTER, _SIZE = 4, 9
"""Place of the center in the kernel, row by row, and number of its values; the bias follows."""


class SpatialBlock(nn.Module):
    """Convolution of the maps of labels; a new one leaves them as they are at a depth of 1.

    Args:
        config: Kind, depth and activation.
    """

    def __init__(self, config: SpatialConfig) -> None:
        super().__init__()
        self.config = config
        identity = torch.zeros(_SIZE + 1)
        identity[_CENTER] = 1
        self.weight = nn.Parameter(identity)

    def forward(
        self, maps: Float[Tensor, "batch label row column"]
    ) -> Float[Tensor, "batch label row column"]:
        """Regularize the similarities of all labels at every patch."""
        return regularized(maps, self.weight, self.config)


def regularized(
    maps: Float[Tensor, "batch label row column"],
    weight: Float[Tensor, " kernel_and_bias"],
    config: SpatialConfig,
) -> Float[Tensor, "batch label row column"]:
    """Maps of similarities after the block; beyond the border of an image they are 0.

    Args:
        maps: Cosines, or the same on their scale.
        weight: Kernel, row by row, and bias.
        config: Kind, depth and activation.
    """
    kernel, bias = weight[:_SIZE].view(1, 1, 3, 3).to(maps.dtype), weight[_SIZE:].to(maps.dtype)
    for repetition in range(config.depth):
        # Each map is an image of its own: what it becomes cannot depend on the order of labels.
        mixed = F.conv2d(maps.flatten(0, 1)[:, None], kernel, bias, padding=1).view(maps.shape)
        if config.kind == "bottleneck":
            mixed = mixed + maps.amax(dim=1, keepdim=True)
        is_last = repetition == config.depth - 1
        maps = mixed if is_last else _ACTIVATIONS[config.activation](mixed)
    return maps
