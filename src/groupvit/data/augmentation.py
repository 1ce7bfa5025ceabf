"""Images varied on the device, a batch at a time, and normalized.

The recipe is that of DeiT, which GroupViT took (section 4.1): mirrored, RandAugment with increasing
strengths, normalized, and a rectangle of noise. The crop before it is the loader's.
"""

import math
from typing import Final

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Generator, Tensor

from groupvit.data.config import AugmentationConfig
from groupvit.data.geometry import Motion, move
from groupvit.data.operations import LARGEST, OPERATIONS, Images
from groupvit.imaging import DEVIATION, MEAN

_SPREAD: Final = 0.5
"""Standard deviation of the strengths of RandAugment."""

_ERASED_AREA: Final = (0.02, 1 / 3)
"""Smallest and largest share of an image that is erased."""

_ERASED_RATIO: Final = (0.3, 1 / 0.3)
"""Height by width of what is erased."""

_TRIES: Final = 10
"""Rectangles that are drawn before an image is left as it is."""


class Augmentation:
    """Varies batches of images; what is drawn comes from the generator alone."""

    def __init__(self, config: AugmentationConfig) -> None:
        self._config = config

    def __call__(
        self, images: UInt8[Tensor, "batch 3 height width"], *, generator: Generator
    ) -> Float[Tensor, "batch 3 height width"]:
        """The images (RGB, 0 to 255) varied, and normalized with ImageNet's mean and deviation.

        Args:
            images: Where they lie is where it is computed; they stay as they are.
            generator: Of the same device.
        """
        config = self._config
        # From here on in place: most of the time would go into fresh memory otherwise.
        varied = images.to(torch.float32)
        if config.flip:
            _flip(varied, generator)
        for _ in range(config.rand_augment_ops):
            _rand_augment(varied, config.rand_augment_magnitude, generator)
        _normalize(varied)
        if config.erasing > 0:
            _erase(varied, config.erasing, generator)
        return varied


def _normalize(images: Images) -> None:
    mean, deviation = (
        torch.tensor(values, dtype=images.dtype, device=images.device)[:, None, None]
        for values in (MEAN, DEVIATION)
    )
    images.sub_(mean).div_(deviation)


def _uniform(size: tuple[int, ...], generator: Generator) -> Float[Tensor, "*size"]:
    return torch.rand(size, generator=generator, device=generator.device)


def _flip(images: Images, generator: Generator) -> None:
    rows = _rows(_uniform((len(images),), generator).cpu() < 0.5, images.device)
    images[rows] = images[rows].flip(3)


def _rand_augment(images: Images, magnitude: float, generator: Generator) -> None:
    """One of 15 operations for half of the images, the same chance for each operation."""
    size = (len(images),)
    noise = torch.randn(size, generator=generator, device=generator.device)
    strengths = (magnitude + _SPREAD * noise).clamp(0, LARGEST)
    strengths = torch.where(_uniform(size, generator) < 0.5, -strengths, strengths)
    number = len(OPERATIONS) + len(Motion)
    drawn = (_uniform(size, generator) * number).long().clamp(max=number - 1)
    drawn = torch.where(_uniform(size, generator) < 0.5, drawn, -1)
    # The choice is looked at on the processor: once, instead of once for every operation.
    choices = drawn.cpu()
    for operation, function in enumerate(OPERATIONS):
        rows = _rows(choices == operation, images.device)
        if len(rows):
            images[rows] = function(images[rows], strengths[rows])
    rows = _rows(choices >= len(OPERATIONS), images.device)
    if len(rows):
        images[rows] = move(images[rows], drawn[rows] - len(OPERATIONS), strengths[rows])


def _rows(chosen: Bool[Tensor, " batch"], device: torch.device) -> Tensor:
    return chosen.nonzero()[:, 0].to(device)


def _erase(images: Images, share: float, generator: Generator) -> None:
    """Fill a rectangle of this share of the images with normal noise (Zhong et al. 2017)."""
    batch, _, height, width = images.shape
    chosen = _uniform((batch,), generator) < share
    tops, lefts, heights, widths = _rectangles(batch, height, width, generator)
    y = torch.arange(height, device=images.device)[:, None]
    x = torch.arange(width, device=images.device)
    inside = (y >= tops) & (y < tops + heights) & (x >= lefts) & (x < lefts + widths)
    rows = _rows(chosen.cpu(), images.device)
    size = (len(rows), *images.shape[1:])
    noise = torch.randn(size, generator=generator, device=generator.device)
    images[rows] = torch.where(inside[rows, None], noise, images[rows])


def _rectangles(
    batch: int, height: int, width: int, generator: Generator
) -> tuple[Float[Tensor, "batch 1 1"], ...]:
    """Top, left, height and width of a rectangle for each image, 0 high where none fits.

    Area and the logarithm of the ratio are uniform; the first of 10 tries that fits is taken.
    """
    low, high = _ERASED_AREA
    areas = height * width * (low + (high - low) * _uniform((batch, _TRIES), generator))
    low, high = map(math.log, _ERASED_RATIO)
    ratios = (low + (high - low) * _uniform((batch, _TRIES), generator)).exp()
    heights, widths = (areas * ratios).sqrt().round(), (areas / ratios).sqrt().round()
    fits = (heights < height) & (widths < width)
    first = fits.int().argmax(dim=1, keepdim=True)
    heights = torch.where(fits, heights, 0.0).gather(1, first)
    widths = widths.gather(1, first)
    tops = (_uniform((batch, 1), generator) * (height - heights + 1)).floor()
    lefts = (_uniform((batch, 1), generator) * (width - widths + 1)).floor()
    return tuple(edge[..., None] for edge in (tops, lefts, heights, widths))
