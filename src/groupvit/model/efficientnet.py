"""EfficientNet-lite, a small convolutional network pretrained on ImageNet: a trunk for photographs.

The lite variants of EfficientNet have no squeeze-excitation, ReLU6 in place of swish, and a stem
and a head that do not grow with the variant. The trunk is in two halves, so that the lower one can
stay frozen, or its maps be stored, while the upper one learns. The classifier of ImageNet is apart:
it is no part of a model that groups.

Source: Tan and Le 2019, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks.
`groupvit.weights.efficientnet` reads the pretrained weights.
"""

from collections.abc import Iterator
from math import ceil
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from groupvit.model.layers import in_whole_patches
from groupvit.normalization import DEVIATION, MEAN

Variant = Literal["lite0", "lite1", "lite2"]
"""Size of the network: 4.7, 5.4 or 6.1 million weights, the classifier's 1.3 million included."""

CELL = 8
"""Stride of the finest map [pixels]."""
STEM_DIM, HEAD_DIM = 32, 1280
NUM_CLASSES = 1000
"""Classes of ImageNet that the classifier knows."""


class _Scale(NamedTuple):
    """Factors by which a variant is larger than lite0."""

    dim: float
    depth: float


class _Stage(NamedTuple):
    """Blocks of one width; the first of them has the stride."""

    depth: int
    kernel: int
    stride: int
    expansion: int
    dim: int


_SCALES: dict[Variant, _Scale] = {
    "lite0": _Scale(1.0, 1.0),
    "lite1": _Scale(1.0, 1.1),
    "lite2": _Scale(1.1, 1.2),
}
_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
"""Stages of lite0 (paper, table 1)."""
_NUM_FINE, _NUM_MIDDLE = 3, 5
"""Stages up to the end of those of stride 8, and of stride 16."""


def stages(variant: Variant) -> tuple[_Stage, ...]:
    """Stages of a variant; the first and the last keep their depth, widths are multiples of 8."""
    scale = _SCALES[variant]
    scaled = [
        stage._replace(
            dim=_rounded(stage.dim * scale.dim),
            depth=stage.depth
            if stage in (_STAGES[0], _STAGES[-1])
            else ceil(stage.depth * scale.depth),
        )
        for stage in _STAGES
    ]
    return tuple(scaled)


def _rounded(dim: float) -> int:
    """Nearest multiple of 8 that is not more than a tenth smaller."""
    nearest = max(8, int(dim + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * dim else nearest + 8


def middle_dim(variant: Variant) -> int:
    """Channels of the map of stride 16 of a variant."""
    return stages(variant)[_NUM_MIDDLE - 1].dim


class Taps(NamedTuple):
    """Maps of the lower half, channels first."""

    fine: Float[Tensor, "batch fine_dim height width"]
    """End of the stage of stride 8 (40 channels in lite0)."""
    middle: Float[Tensor, "batch middle_dim middle_height middle_width"]
    """End of the stages of stride 16 (112 channels in lite0)."""
    colors: Float[Tensor, "batch 3 height width"]
    """Mean red, green and blue of each cell of 8 x 8 pixels, [0, 1]."""


class Middle(NamedTuple):
    """Images as the middle maps of the lower half, which is what the upper half takes."""

    map: Float[Tensor, "batch middle_dim middle_height middle_width"]


class Upper(NamedTuple):
    """Maps of the upper half, channels first: of stride 32, or 16 (`UpperHalf.set_stride`)."""

    coarse: Float[Tensor, "batch coarse_dim height width"]
    """Map of the last block (320 channels in lite0)."""
    head: Float[Tensor, "batch 1280 height width"]
    """Map of the head, which the classifier of ImageNet reads."""


class SameConvolution(nn.Conv2d):
    """Convolution without bias that is padded with zeros as by TensorFlow's «same».

    The output has ceil(length / stride) places; of an odd number of zeros the last goes behind.
    """

    def __init__(
        self,
        dim: int,
        out_dim: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__(dim, out_dim, kernel, stride, groups=groups, bias=False)

    def forward(
        self, x: Float[Tensor, "batch dim height width"]
    ) -> Float[Tensor, "batch out_dim out_height out_width"]:
        """Convolve the padded map."""
        down, across = (self._zeros(length) for length in x.shape[-2:])
        before = down // 2, across // 2
        # By the stride and not the number: graphs are exported for lengths that are not known.
        if self.stride[0] > 1:
            x = F.pad(x, (before[1], across - before[1], before[0], down - before[0]))
            before = 0, 0
        return F.conv2d(x, self.weight, None, self.stride, before, self.dilation, self.groups)

    def _zeros(self, length: int) -> int:
        """Number of zeros to add to an axis of this length, on both sides together.

        No kernel here is smaller than its stride, so that it is not negative.
        """
        reach = (self.kernel_size[0] - 1) * self.dilation[0] + 1
        return reach - 1 - (length - 1) % self.stride[0]


class StoredNorm(nn.Module):
    """Batch normalization by stored statistics, in training too.

    Batches of a fine-tuning are smaller and other than those that the statistics come from; a
    frozen half stays exactly as it is, whatever the mode of the module.
    """

    running_mean: Tensor
    running_var: Tensor
    eps = 1e-3

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.register_buffer("running_mean", torch.zeros(dim))
        self.register_buffer("running_var", torch.ones(dim))

    def forward(
        self, x: Float[Tensor, "batch dim height width"]
    ) -> Float[Tensor, "batch dim height width"]:
        """Normalize each channel."""
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class NormedConvolution(nn.Module):
    """Convolution, normalization and, unless it is a projection, ReLU6."""

    conv: SameConvolution

    def __init__(self, conv: SameConvolution, *, activated: bool = True) -> None:
        super().__init__()
        self.conv = conv
        self.norm = StoredNorm(conv.out_channels)
        self.activated = activated

    def forward(
        self, x: Float[Tensor, "batch dim height width"]
    ) -> Float[Tensor, "batch out_dim out_height out_width"]:
        """Convolve, normalize and activate."""
        normed: Tensor = self.norm(self.conv(x))
        return F.relu6(normed, inplace=True) if self.activated else normed


class InvertedResidual(nn.Module):
    """Channels expanded, convolved each by itself and projected; added to the input if it fits."""

    depthwise: NormedConvolution

    def __init__(self, dim: int, out_dim: int, *, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = dim * expansion
        self.expand = (
            nn.Identity() if expansion == 1 else NormedConvolution(SameConvolution(dim, inner))
        )
        self.depthwise = NormedConvolution(
            SameConvolution(inner, inner, kernel, stride=stride, groups=inner)
        )
        self.project = NormedConvolution(SameConvolution(inner, out_dim), activated=False)
        self.adds = dim == out_dim and stride == 1

    def forward(
        self, x: Float[Tensor, "batch dim height width"]
    ) -> Float[Tensor, "batch out_dim out_height out_width"]:
        """Change the map."""
        changed: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + changed if self.adds else changed


def _pixels(
    images: Float[Tensor, "batch 3 height width"],
) -> Float[Tensor, "batch 3 height width"]:
    """Red, green and blue of normalized images, 0 to 255."""
    mean, deviation = (images.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    return images * deviation + mean


def cell_colors(
    images: Float[Tensor, "batch 3 height width"],
) -> Float[Tensor, "batch 3 rows columns"]:
    """Mean red, green and blue of each cell of 8 x 8 pixels of normalized images, [0, 1]."""
    return F.avg_pool2d(in_whole_patches(_pixels(images), CELL), CELL) / 255


class LowerHalf(nn.Module):
    """Stem and stages down to a stride of 16."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        first, then = stages(variant)[:_NUM_FINE], stages(variant)[_NUM_FINE:_NUM_MIDDLE]
        self.stem = NormedConvolution(SameConvolution(3, STEM_DIM, 3, stride=2))
        self.fine = nn.Sequential(*_blocks(first, STEM_DIM))
        self.middle = nn.Sequential(*_blocks(then, first[-1].dim))

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Taps:
        """Maps of images that are normalized by `groupvit.normalization`, of any size."""
        fine = self.fine_map(images)
        return Taps(fine, self.middle(fine), cell_colors(images))

    def fine_map(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch fine_dim fine_height fine_width"]:
        """The finest map alone, which `middle` takes."""
        # Padded with zeros, so that the range of the network's own training matters. Channels last:
        # on a CPU the convolutions are 1.5 to 3 times as fast.
        shifted = ((_pixels(images) - 127) / 128).contiguous(memory_format=torch.channels_last)
        fine: Tensor = self.fine(self.stem(shifted))
        return fine


class UpperHalf(nn.Module):
    """Stages of stride 32 and the head.

    Args:
        variant: Size of the network.
    """

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        before, last = stages(variant)[:_NUM_MIDDLE], stages(variant)[_NUM_MIDDLE:]
        self.coarse = nn.Sequential(*_blocks(last, before[-1].dim))
        self.head = NormedConvolution(SameConvolution(last[-1].dim, HEAD_DIM))

    def forward(self, middle: Float[Tensor, "batch middle_dim height width"]) -> Upper:
        """Maps of the middle map of the lower half."""
        coarse = self.coarse(middle.contiguous(memory_format=torch.channels_last))
        return Upper(coarse, self.head(coarse))

    def set_stride(self, stride: Literal[16, 32]) -> None:
        """Set the stride of the maps [pixels]; the weights stay the same.

        At 16 no convolution strides, and those after the one that did have taps twice as far apart
        (dilated convolution, as in DeepLab, Chen et al. 2017): the maps hold the values of stride
        32 and those between them, at four times the cost.
        """
        for index, block in enumerate(self.coarse):
            assert isinstance(block, InvertedResidual)
            depthwise = block.depthwise.conv
            if index == 0:
                depthwise.stride = stride // 16, stride // 16
            else:
                depthwise.dilation = 32 // stride, 32 // stride


def _blocks(which: tuple[_Stage, ...], dim: int) -> Iterator[InvertedResidual]:
    """Blocks of stages after a map of this width."""
    for stage in which:
        for index in range(stage.depth):
            yield InvertedResidual(
                dim,
                stage.dim,
                kernel=stage.kernel,
                stride=stage.stride if index == 0 else 1,
                expansion=stage.expansion,
            )
            dim = stage.dim


class EfficientNetLite(nn.Module):
    """Trunk that gives maps of several strides: `upper(lower(images).middle)`.

    Args:
        variant: Size of the network.
    """

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.variant: Variant = variant
        self.fine_dim, self.middle_dim, self.coarse_dim = (
            stages(variant)[end - 1].dim for end in (_NUM_FINE, _NUM_MIDDLE, len(_STAGES))
        )
        self.lower = LowerHalf(variant)
        self.upper = UpperHalf(variant)


class Classifier(nn.Module):
    """Linear classifier of ImageNet's 1,000 classes, at every place of the map of the head.

    It is linear: the logits of an image, those of the mean of the map, are the mean of its logits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(HEAD_DIM, NUM_CLASSES)

    def forward(
        self, head: Float[Tensor, "batch 1280 height width"]
    ) -> Float[Tensor, "batch 1000 height width"]:
        """Logits at every place."""
        logits: Tensor = self.linear(head.movedim(1, -1)).movedim(-1, 1)
        return logits
