"""The 10 color operations of RandAugment, on batches of images.

The results equal those of Pillow's operations in timm 0.4.12's `rand-m9-mstd0.5-inc1`. Images are
float32 with whole numbers, 0 to 255. Strengths are -10 to 10; operations with one direction only
use the absolute value.
"""

from collections.abc import Callable
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Images = Float[Tensor, "batch 3 height width"]
Strengths = Float[Tensor, " batch"]

LARGEST: Final = 10.0
"""Largest strength."""

_ENHANCEMENT: Final = 0.9
"""Change of the enhancement factor at the largest strength."""

_ADDITION: Final = 110
"""Added to dark values at the largest strength."""

_GRAY: Final = (19595, 38470, 7471)
"""Luma weights of red, green and blue [1/65536] (ITU-R 601)."""


def auto_contrast(images: Images) -> Images:
    """Stretch each channel to the range 0 to 255."""
    low = images.amin(dim=(2, 3), keepdim=True)
    span = images.amax(dim=(2, 3), keepdim=True) - low
    stretched = ((images - low) * 255 / span.clamp(min=1)).floor()
    return torch.where(span > 0, stretched, images)


def equalize(images: Images) -> Images:
    """Equalize the histogram of each channel."""
    values = images.long().flatten(2)
    counts = values.new_zeros(*values.shape[:2], 256)
    counts.scatter_add_(2, values, torch.ones_like(values))
    brightest = counts.gather(2, values.amax(dim=2, keepdim=True))
    step = (values.shape[2] - brightest) // 255
    darker = counts.cumsum(dim=2) - counts
    table = ((darker + step // 2) // step.clamp(min=1)).clamp(max=255)
    equalized = table.gather(2, values).reshape(images.shape).to(images.dtype)
    return torch.where(step[..., None] > 0, equalized, images)


def invert(images: Images) -> Images:
    """Negative of the image."""
    return 255 - images


def posterize(images: Images, strengths: Strengths) -> Images:
    """Keep the 4 to 0 highest bits of every value."""
    bits = 4 - (strengths.abs() * 4 / LARGEST).floor()
    steps = _per_image(2 ** (8 - bits))
    return (images / steps).floor() * steps


def solarize(images: Images, strengths: Strengths) -> Images:
    """Invert values at and above a threshold of 256 to 0."""
    threshold = _per_image(256 - (strengths.abs() * 256 / LARGEST).floor())
    return torch.where(images < threshold, images, 255 - images)


def solarize_add(images: Images, strengths: Strengths) -> Images:
    """Add 0 to 110 to values below 128."""
    added = _per_image((strengths.abs() * _ADDITION / LARGEST).floor())
    return torch.where(images < 128, (images + added).clamp(max=255), images)


def color(images: Images, strengths: Strengths) -> Images:
    """Change the saturation: blend with the gray image."""
    return _enhance(_gray(images), images, strengths)


def contrast(images: Images, strengths: Strengths) -> Images:
    """Change the contrast: blend with the mean brightness."""
    mean = _gray(images).mean(dim=(2, 3), keepdim=True)
    return _enhance((mean + 0.5).floor(), images, strengths)


def brightness(images: Images, strengths: Strengths) -> Images:
    """Change the brightness: blend with black."""
    return _enhance(torch.zeros_like(images), images, strengths)


def sharpness(images: Images, strengths: Strengths) -> Images:
    """Change the sharpness: blend with a smoothed image; the outermost pixels stay."""
    if min(images.shape[2:]) < 3:
        return images
    kernel = torch.ones(3, 1, 3, 3, dtype=images.dtype, device=images.device)
    kernel[:, :, 1, 1] = 5
    smooth = images.clone()
    sums = functional.conv2d(images, kernel, groups=3)
    smooth[:, :, 1:-1, 1:-1] = (sums / 13 + 0.5).floor()
    return _enhance(smooth, images, strengths)


OPERATIONS: Final[tuple[Callable[[Images, Strengths], Images], ...]] = (
    lambda images, _: auto_contrast(images),
    lambda images, _: equalize(images),
    lambda images, _: invert(images),
    posterize,
    solarize,
    solarize_add,
    color,
    contrast,
    brightness,
    sharpness,
)
"""All color operations."""


def _per_image(values: Strengths) -> Float[Tensor, "batch 1 1 1"]:
    return values[:, None, None, None]


def _gray(images: Images) -> Float[Tensor, "batch 1 height width"]:
    weights = torch.tensor(_GRAY, dtype=images.dtype, device=images.device)
    # All products are whole numbers below 2 ** 24, which float32 holds exactly.
    total = (images * weights[:, None, None]).sum(dim=1, keepdim=True)
    return ((total + 0x8000) / 0x10000).floor()


def _enhance(
    degenerate: Float[Tensor, "batch any height_or_1 width_or_1"],
    images: Images,
    strengths: Strengths,
) -> Images:
    """Blend of a degenerate image (factor 0) and the image (1), extrapolated above 1."""
    factors = _per_image(1 + strengths * _ENHANCEMENT / LARGEST)
    return (degenerate + factors * (images - degenerate)).clamp(0, 255).floor()
