"""Parts of many images: what a model that finds its groups inside each image groups together."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int64, UInt8, UInt16
from torch import Tensor
from torch.nn import functional as F

from groupvit import imaging
from groupvit.errors import InputError
from groupvit.model.cues import resized
from groupvit.model.part_encoder import PartEncoder
from groupvit.progress import OnProgress
from groupvit.segmentation import encoding
from groupvit.segmentation.groups import GroupedImage, GroupedWindow
from groupvit.segmentation.preparation import normalize
from groupvit.segmentation.segmenter import Segmenter

MAX_WINDOWS = 2000
"""Windows of all images, at most: about 300 KB of memory each with 57 parts."""
LONGEST = 160
"""Length of the longer side of a window that is shown [pixels], at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMasks:
    """Masks of the images."""

    num_classes: int
    """Number of classes, the background included."""
    has_background: bool
    """Class 0 is the background."""
    read: Callable[[int], UInt8[np.ndarray, "height width"]]
    """Class of every pixel of the image of this index, from 0; pixels of 255 do not count."""


class ShownWindow(NamedTuple):
    """Window of an image, reduced."""

    name: str
    """Name of the image."""
    image: UInt8[np.ndarray, "height width 3"]
    """RGB, 0 to 255."""
    groups: dict[int, UInt16[np.ndarray, "height width"]]
    """Group of every pixel, by stage."""


class Parts(NamedTuple):
    """Parts of one stage in all windows: groups that hold a patch."""

    embeddings: Float[np.ndarray, "part embedding"]
    """Mean of their patches in the space shared with text, L2-normalized."""
    areas: Float[np.ndarray, " part"]
    """Fraction of the patches of their window, [0, 1]."""
    windows: Int64[np.ndarray, " part"]
    """Index of their window."""
    groups: Int64[np.ndarray, " part"]
    """Group in the window."""
    trunk: Float[np.ndarray, "part dim"]
    """Mean of the last map of the trunk; dim is 0 without masks."""
    pixels: Int64[np.ndarray, "part class"]
    """Number of pixels of each class, without those that do not count; no class without masks."""


class FoundParts(NamedTuple):
    """Windows of images and their parts."""

    windows: list[ShownWindow]
    stages: dict[int, Parts]
    """Parts by stage, counted from 0."""


def find_parts(
    segmenter: Segmenter,
    images: Sequence[Path],
    *,
    stages: Sequence[int],
    masks: ClassMasks | None = None,
    on_progress: OnProgress | None = None,
) -> FoundParts:
    """Group images and describe their parts.

    Args:
        segmenter: Model that finds its groups inside each image, with naming by parts.
        images: Image files.
        stages: Stages to describe, counted from 0.
        masks: Masks of the images; None: parts have no classes.
        on_progress: Called after every image.

    Raises:
        InputError: An image cannot be read, or there are more than `MAX_WINDOWS` windows.
    """
    shown: list[ShownWindow] = []
    found: dict[int, list[Parts]] = {stage: [] for stage in stages}
    for index, path in enumerate(images):
        image = imaging.read(path)
        [grouped] = segmenter.group([image])
        if len(shown) + len(grouped.windows) > MAX_WINDOWS:
            raise InputError(
                f"these images have more than {MAX_WINDOWS:,} windows; give fewer images, or a "
                "larger --window"
            )
        maps = _trunk_maps(segmenter, image, grouped) if masks else [None] * len(grouped.windows)
        mask = masks.read(index) if masks else None
        for window, trunk in zip(grouped.windows, maps, strict=True):
            for stage in stages:
                one = _parts(window, stage, trunk, len(shown))
                pixels = _pixels(grouped, window, stage, mask, masks)[one.groups]
                found[stage].append(one._replace(pixels=pixels))
            shown.append(_shown(grouped, window, path.name, stages))
        if on_progress is not None:
            on_progress(index + 1, len(images))
    return FoundParts(shown, {stage: _joined(parts) for stage, parts in found.items()})


def _joined(parts: Iterable[Parts]) -> Parts:
    return Parts(*map(np.concatenate, zip(*parts, strict=True)))


def _parts(
    window: GroupedWindow,
    stage: int,
    trunk: Float[Tensor, "token dim"] | None,
    index: int,
) -> Parts:
    """Parts of a window, without the pixels of classes."""
    winner = window.patch_assignment(stage).max(dim=0).indices  # (token,)
    hard = F.one_hot(winner, window.num_groups(stage)).mT.float()  # (group, token)
    sizes = hard.sum(dim=1)
    kept = sizes > 0
    means = F.normalize(window.means(window.naming_embeddings, stage)[kept], dim=-1)
    features = hard.new_zeros(len(means), 0)
    if trunk is not None:
        features = (hard[kept] @ trunk) / sizes[kept, None]
    groups = kept.nonzero()[:, 0].cpu().numpy()
    return Parts(
        embeddings=means.float().cpu().numpy(),
        areas=(sizes[kept] / len(winner)).cpu().numpy(),
        windows=np.full(len(groups), index),
        groups=groups,
        trunk=features.cpu().numpy(),
        pixels=np.zeros((len(groups), 0), np.int64),
    )


def _pixels(
    grouped: GroupedImage,
    window: GroupedWindow,
    stage: int,
    mask: UInt8[np.ndarray, "height width"] | None,
    masks: ClassMasks | None,
) -> Int64[np.ndarray, "group class"]:
    """Number of pixels of each class in each group of a window."""
    num_groups = window.num_groups(stage)
    if mask is None or masks is None:
        return np.zeros((num_groups, 0), np.int64)
    place = grouped.in_image(window.box)
    groups = window.group_map(stage, (place.height, place.width)).cpu().numpy()
    classes = mask[place.slices]
    counted = classes < masks.num_classes
    pairs = groups[counted].astype(np.int64) * masks.num_classes + classes[counted]
    counts = np.bincount(pairs, minlength=num_groups * masks.num_classes)
    return counts.astype(np.int64).reshape(num_groups, masks.num_classes)


def _shown(
    grouped: GroupedImage, window: GroupedWindow, name: str, stages: Sequence[int]
) -> ShownWindow:
    image = reduced(grouped, window)
    size = image.shape[0], image.shape[1]
    groups = {stage: window.group_map(stage, size).cpu().numpy() for stage in stages}
    small = {stage: one.astype(np.uint16) for stage, one in groups.items()}
    return ShownWindow(name, image, small)


def reduced(grouped: GroupedImage, window: GroupedWindow) -> UInt8[np.ndarray, "height width 3"]:
    """Part of an image that a window covers, its longer side at most `LONGEST` pixels."""
    place = grouped.in_image(window.box)
    step = max(1, -(-max(place.height, place.width) // LONGEST))
    return grouped.image[place.slices][::step, ::step].copy()


def _trunk_maps(
    segmenter: Segmenter, image: UInt8[np.ndarray, "height width 3"], grouped: GroupedImage
) -> list[Float[Tensor, "token dim"]]:
    """Last map of the trunk of every window, at its tokens: bilinear."""
    encoder = segmenter.model.image_encoder
    assert isinstance(encoder, PartEncoder)
    _, crops = encoding.cut(image, segmenter.protocol, segmenter.model.config.image)
    found = []
    with torch.inference_mode():
        for crop, window in zip(crops, grouped.windows, strict=True):
            size = encoder.config.patch_size
            rows, columns = (count * size for count in window.grid)
            pixels = crop.pixels[None, :, :rows, :columns].to(segmenter.device)
            middle = encoder.trunk.lower(normalize(pixels)).middle
            coarse = resized(encoder.trunk.upper(middle).coarse, window.grid)
            found.append(rearrange(coarse, "1 dim row column -> (row column) dim"))
    return found
