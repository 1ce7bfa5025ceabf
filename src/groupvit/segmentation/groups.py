"""Groups: what one pass over an image finds, before any word is said."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int, UInt8, UInt16
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from groupvit import visualization
from groupvit.segmentation.refinement import Refinement, refine
from groupvit.segmentation.windows import Box

AT_ONCE = 1 << 24
"""Most shares that are enlarged at once: large images are drawn in strips."""


def bilinear(length: int, new_length: int) -> Float[Tensor, "new_length length"]:
    """The matrix that enlarges a side as bilinear interpolation does."""
    return F.interpolate(torch.eye(length)[None], new_length, mode="linear", align_corners=False)[
        0
    ].mT


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class GroupedWindow:
    """The groups that one pass finds in one window of an image."""

    box: Box
    """Where the window lies in the resized image [pixels]."""
    grid: tuple[int, int]
    """Rows and columns of its patches."""
    assignments: tuple[Float[Tensor, "_ _"], ...]
    """For every stage the soft assignment "group token"."""
    embedding: Float[Tensor, " embedding"]
    """The window in the space shared with text, L2-normalized."""
    segments: Float[Tensor, "group embedding"]
    """Its segments in that space, L2-normalized."""
    patches: Float[Tensor, "token embedding"] | None = None
    """Its patches there, where they take the words; None: the segments do."""

    @property
    def num_stages(self) -> int:
        """Stages that group; 1 for a network without groups, whose patches stand alone."""
        return max(1, len(self.assignments))

    def shares(self, stage: int) -> Float[Tensor, "group token"]:
        """The share of every patch that each group of a stage takes, by way of earlier stages.

        The assignments are chained by products; each patch's shares sum to 1. A network without
        groups has each patch for itself.
        """
        if not self.assignments:
            return torch.eye(len(self.segments), device=self.segments.device)
        shares = self.assignments[0]
        for assignment in self.assignments[1 : stage + 1]:
            shares = assignment @ shares
        return shares

    @property
    def naming_embeddings(self) -> Float[Tensor, "part embedding"]:
        """The parts that take the words: patches or segments."""
        return self.segments if self.patches is None else self.patches

    @property
    def patch_embeddings(self) -> Float[Tensor, "token embedding"]:
        """What every patch means: what it says itself, or else its segment of the last stage."""
        if self.patches is not None:
            return self.patches
        return self.segments[self.shares(self.num_stages - 1).argmax(dim=0)]

    def naming_map(self, size: tuple[int, int]) -> Int[Tensor, "height width"]:
        """Which of them every pixel belongs to when the window is drawn at this (height, width)."""
        if self.patches is None:
            return self.group_map(self.num_stages - 1, size)
        rows, columns = (
            torch.arange(length, device=self.patches.device) * count // length
            for length, count in zip(size, self.grid, strict=True)
        )
        return (rows[:, None] * self.grid[1] + columns).int()

    def group_map(self, stage: int, size: tuple[int, int]) -> Int[Tensor, "height width"]:
        """The group of every pixel when the window is drawn at this (height, width).

        The shares are enlarged bilinearly before the largest is taken, so that the borders
        between groups run smoothly (the original does so too).
        """
        down, shares, across = self._enlarging(stage, size)
        rows = max(1, AT_ONCE // (len(shares) * size[1]))
        return torch.cat(  # on a CPU the indices of max come 20 times faster than argmax
            [
                (down[start : start + rows] @ shares @ across).max(dim=0).indices.int()
                for start in range(0, size[0], rows)
            ]
        )

    def refined_map(
        self, stage: int, image: Float[Tensor, "rgb height width"], refinement: Refinement
    ) -> Int[Tensor, "height width"]:
        """The group of every pixel of the window's part of the image, borders refined.

        It is done at the size that the network saw, or that of the part if this is smaller.
        """
        height, width = image.shape[-2:]
        size = min(height, self.box.height), min(width, self.box.width)
        down, shares, across = self._enlarging(stage, size)
        refined = refine(down @ shares @ across, image.to(shares.device), refinement)
        large = F.interpolate(refined[None], (height, width), mode="bilinear")[0]
        return large.max(dim=0).indices.int()

    def _enlarging(
        self, stage: int, size: tuple[int, int]
    ) -> tuple[
        Float[Tensor, "height row"],
        Float[Tensor, "group row column"],
        Float[Tensor, "column width"],
    ]:
        """The shares of a stage on the grid, between the matrices that enlarge them."""
        shares = rearrange(
            self.shares(stage), "group (row column) -> group row column", row=self.grid[0]
        )
        down = bilinear(self.grid[0], size[0]).to(shares.device)
        across = bilinear(self.grid[1], size[1]).to(shares.device)
        return down, shares, across.mT


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class GroupedImage:
    """An image and the groups found in it; words can be given to it again and again."""

    image: UInt8[np.ndarray, "height width 3"]
    """The image itself, RGB, 0 to 255."""
    working_size: tuple[int, int]
    """Height and width that the network saw [pixels]."""
    windows: Sequence[GroupedWindow]
    """What was found, window by window."""
    refinement: Refinement | None = None
    """How borders between groups are moved to where the colors of the image change; None: not
    at all."""

    def __repr__(self) -> str:
        height, width = self.size
        groups = " and ".join(str(self.num_groups(stage)) for stage in range(self.num_stages))
        windows = f"{len(self.windows)} window{'s' * (len(self.windows) > 1)}"
        return f"GroupedImage({height}x{width}, {windows} of {groups} groups)"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image [pixels]."""
        height, width, _ = self.image.shape
        return height, width

    @property
    def num_stages(self) -> int:
        """Stages whose groups can be shown."""
        return self.windows[0].num_stages

    def num_groups(self, stage: int) -> int:
        """Groups of a stage in one window."""
        return len(self.windows[0].shares(stage))

    def group_map(self, stage: int) -> UInt16[np.ndarray, "height width"]:
        """The group of every pixel of the image at a stage, from 0 for the first grouping.

        Each window has groups of its own: those of window `i` are numbered from
        `i * num_groups(stage)`. Where windows overlap, the one with the nearest center counts.
        """
        owners = self._owners()
        result = torch.zeros(self.size, dtype=torch.int32)
        for index, window in enumerate(self.windows):
            place = self.in_image(window.box)
            groups = self._groups_at(window, stage, place).cpu()
            region = result[place.rows, place.columns]
            owned = owners[place.rows, place.columns] == index
            region[owned] = groups[owned] + index * self.num_groups(stage)
        return result.numpy().astype(np.uint16)

    def _groups_at(
        self, window: GroupedWindow, stage: int, place: Box
    ) -> Int[Tensor, "height width"]:
        """The groups of a window at its place in the image."""
        if self.refinement is None:
            return window.group_map(stage, (place.height, place.width))
        part = torch.from_numpy(self.image[place.rows, place.columns]).float()
        return window.refined_map(stage, part.movedim(-1, 0), self.refinement)

    def shrunk(self, longest: int) -> "GroupedImage":
        """The same groups on an image whose longer side is at most this long [pixels]."""
        if max(self.size) <= longest:
            return self
        small = Image.fromarray(self.image)
        small.thumbnail((longest, longest))
        return replace(self, image=np.array(small))

    def panels(self) -> list[tuple[str, Image.Image]]:
        """The image, then the groups of every stage in colors, each with a title."""
        panels = [("image", Image.fromarray(self.image))]
        for stage in range(self.num_stages):
            groups = self.group_map(stage)
            title = f"stage {stage + 1}: {len(np.unique(groups))} groups in use"
            panels.append((title, visualization.groups(self.image, groups)))
        return panels

    def to_image(self) -> Image.Image:
        """The image beside its groups of every stage."""
        panels = self.shrunk(visualization.LARGEST).panels()
        return visualization.side_by_side(panels, columns=len(panels))

    def _owners(self) -> Int[Tensor, "height width"]:
        """Which window each pixel of the image belongs to."""
        height, width = self.size
        rows = (torch.arange(height) + 0.5) * self.working_size[0] / height
        columns = (torch.arange(width) + 0.5) * self.working_size[1] / width
        nearest = torch.full(self.size, torch.inf)
        owners = torch.zeros(self.size, dtype=torch.int64)
        for index, box in enumerate(window.box for window in self.windows):
            down = (rows - box.top - box.height / 2) ** 2
            across = (columns - box.left - box.width / 2) ** 2
            distance = down[:, None] + across[None, :]
            owners = torch.where(distance < nearest, index, owners)
            nearest = torch.minimum(nearest, distance)
        return owners

    def in_image(self, box: Box) -> Box:
        """A window's place in the image as it was given, rounded outwards [pixels]."""
        down, across = (a / b for a, b in zip(self.size, self.working_size, strict=True))
        top, left = floor(box.top * down), floor(box.left * across)
        bottom = min(self.size[0], ceil((box.top + box.height) * down))
        right = min(self.size[1], ceil((box.left + box.width) * across))
        return Box(top, left, bottom - top, right - left)
