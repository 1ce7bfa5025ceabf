"""From images to groups: windows are cut out, and those of equal size are encoded together."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from groupvit.errors import InputError
from groupvit.model.config import ImageEncoderConfig
from groupvit.model.features import Embedded
from groupvit.model.inference import Naming
from groupvit.segmentation.groups import GroupedWindow, enlarged
from groupvit.segmentation.network import Network
from groupvit.segmentation.preparation import (
    normalize,
    part_at_other_side,
    resize,
    working_size,
)
from groupvit.segmentation.protocol import Protocol
from groupvit.segmentation.windows import Box, boxes


class Crop(NamedTuple):
    """A window cut out of an image."""

    box: Box
    """Position in the resized image [pixels]."""
    pixels: UInt8[Tensor, "3 height width"]
    """RGB, 0 to 255."""
    other_sizes: tuple[UInt8[Tensor, "3 _ _"], ...] = ()
    """The same part of the image at other sizes, in whole patches."""


class Patches(NamedTuple):
    """Embedded patches of a window at one size."""

    grid: tuple[int, int]
    """Rows and columns."""
    embeddings: Float[Tensor, "patch embedding"]
    """Row by row, L2-normalized."""


def check_naming(network: Network, naming: Naming) -> None:
    """Check that a model has the embeddings that a way of naming needs.

    Raises:
        InputError: It embeds no patches, and the scores of patches are requested; naming by
            levels of a model whose patches are on another grid than its groups; or naming by
            segments of a model with a spatial block.
    """
    if naming == "segments" and network.config.spatial is not None:
        raise InputError(
            "naming by segments has no maps of patches, which the spatial block of this model "
            "(model.spatial) regularizes; take naming 'levels' or 'parts', or a protocol that "
            "leaves the naming to the model, such as 'ours'"
        )
    if naming == "levels" and network.config.image.grouping == "rounds":
        raise InputError(
            "naming by levels needs groups that were learned, but this model finds its groups "
            "inside each image; take naming 'parts' or 'segments'"
        )
    if naming == "parts" and not network.config.patch_projector:
        raise InputError(
            "naming by parts compares patches with labels, but this model has no projector for "
            "them; take naming 'segments' or 'levels'"
        )


def cut(
    image: UInt8[np.ndarray, "height width 3"], protocol: Protocol, config: ImageEncoderConfig
) -> tuple[tuple[int, int], list[Crop]]:
    """Size (height, width) that the network sees an image at, and its windows.

    Raises:
        InputError: The image is too thin for the protocol.
    """
    height, width, _ = image.shape
    size = working_size(height, width, protocol, config)
    resized = resize(image, size, antialias=protocol.antialias)
    sides = protocol.other_sides if isinstance(protocol.other_sides, tuple) else ()
    others = [
        working_size(height, width, replace(protocol, short_side=side), config) for side in sides
    ]
    return size, [
        Crop(
            box,
            resized[:, *box.slices],
            tuple(
                part_at_other_side(image, size, box, other, protocol, config) for other in others
            ),
        )
        for box in boxes(*size, window=protocol.window, stride=protocol.stride)
    ]


def encode(
    network: Network,
    crops: Sequence[Crop],
    *,
    naming: Naming,
    naming_stage: int = -1,
    border: Literal["fit", "cut"],
    batch_size: int,
) -> list[GroupedWindow]:
    """Group the patches of every window; the result has the order of `crops`.

    Args:
        network: In evaluation mode.
        crops: Windows of any sizes.
        naming: Embeddings that are compared with labels.
        naming_stage: Stage whose groups are the parts, with naming by parts.
        border: `cut` leaves out the pixels beyond the last whole patch.
        batch_size: Number of windows in a batch.

    Raises:
        InputError: The model has no such stage.
    """
    windows: dict[int, GroupedWindow] = {}
    for indices, pixels in _batches([crop.pixels for crop in crops], batch_size):
        batch = [crops[index].box for index in indices]
        found = _encode(network, batch, pixels, naming, naming_stage, border)
        windows.update(zip(indices, found, strict=True))
    others = [pixels for crop in crops for pixels in crop.other_sizes]
    patches = iter(_patches(network, others, batch_size))
    return [
        _with_patches(windows[index], [next(patches) for _ in crop.other_sizes])
        for index, crop in enumerate(crops)
    ]


def _batches(
    images: Sequence[UInt8[Tensor, "3 _ _"]], batch_size: int
) -> Iterator[tuple[tuple[int, ...], UInt8[Tensor, "batch 3 height width"]]]:
    """Batches of images of one size, and the indices of these images."""

    def shape(numbered: tuple[int, Tensor]) -> torch.Size:
        return numbered[1].shape

    for _, group in groupby(sorted(enumerate(images), key=shape), key=shape):
        alike = list(group)
        for start in range(0, len(alike), batch_size):
            indices, batch = zip(*alike[start : start + batch_size], strict=True)
            yield indices, torch.stack(batch)


def _patches(
    network: Network, images: Sequence[UInt8[Tensor, "3 _ _"]], batch_size: int
) -> list[Patches]:
    """Embedded patches of images of any sizes."""
    found: dict[int, Patches] = {}
    for indices, pixels in _batches(images, batch_size):
        grid = network.patch_grid(*pixels.shape[-2:])
        embedded = network.embed_patches(normalize(pixels.to(network.device)))
        for index, embeddings in zip(indices, embedded, strict=True):
            found[index] = Patches(grid, embeddings.float())
    return [found[index] for index in range(len(images))]


def _with_patches(window: GroupedWindow, others: Sequence[Patches]) -> GroupedWindow:
    """Window whose patches are compared with labels at other sizes too."""
    if not others:
        return window
    return replace(
        window,
        naming_embeddings=torch.cat([window.naming_embeddings, *(x.embeddings for x in others)]),
        naming_grids=(*window.naming_grids, *(x.grid for x in others)),
    )


def _encode(
    network: Network,
    places: Sequence[Box],
    pixels: UInt8[Tensor, "batch 3 height width"],
    naming: Naming,
    naming_stage: int,
    border: Literal["fit", "cut"],
) -> list[GroupedWindow]:
    """Encode windows of one size in one pass."""
    pixels = pixels.to(network.device)
    patch = network.config.image.patch_size
    height, width = pixels.shape[-2:]
    if border == "cut":
        height, width = height // patch * patch, width // patch * patch
        pixels = pixels[:, :, :height, :width]
    grid = -(-height // patch), -(-width // patch)
    patch_grid = network.patch_grid(height, width)
    stages = None if naming == "levels" else 1
    embedded = network.embed_image(normalize(pixels), num_stages=stages)
    if not -1 <= naming_stage < max(1, len(embedded.assignments)):
        raise InputError(
            f"inference.parts_stage is {naming_stage}, but this model has "
            f"{len(embedded.assignments)} stages that group, counted from 0"
        )
    segments = embedded.segments[-1].float()  # (window, group, embedding)
    named = _named(embedded, naming, patch_grid, grid).float()
    windows = []
    for index, box in enumerate(places):
        window = GroupedWindow(
            box=box,
            grid=grid,
            assignments=tuple(map(itemgetter(index), embedded.assignments)),
            embedding=embedded.image[index].float(),
            segments=segments[index],
            naming=naming,
            naming_embeddings=named[index],
            naming_grids=(patch_grid,) if naming == "parts" else (),
            naming_stage=naming_stage,
        )
        windows.append(window)
    return windows


def _named(
    embedded: Embedded, naming: Naming, patch_grid: tuple[int, int], grid: tuple[int, int]
) -> Float[Tensor, "batch row embedding"]:
    """Embeddings that are compared with labels; see `GroupedWindow.naming_embeddings`."""
    if naming == "segments":
        return embedded.segments[-1]
    if naming == "levels":
        if embedded.patches is not None and patch_grid != grid:
            at_tokens = [enlarged(one, patch_grid, grid) for one in embedded.patches]
            embedded = embedded._replace(patches=torch.stack(at_tokens))
        return embedded.patch_embeddings()
    assert embedded.patches is not None
    return embedded.patches
