"""Groups of patches that the network finds in an image, independent of any label."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Float32, Int, UInt8, UInt16
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from groupvit import visualization
from groupvit.errors import InputError
from groupvit.model.inference import Naming
from groupvit.segmentation.refinement import Refinement, refine
from groupvit.segmentation.windows import Box

AT_ONCE = 1 << 24
"""Largest number of values that are enlarged at once: large group maps are made in strips."""


def bilinear(length: int, new_length: int) -> Float[Tensor, "new_length length"]:
    """Matrix that resizes one axis as bilinear interpolation does."""
    return F.interpolate(torch.eye(length)[None], new_length, mode="linear", align_corners=False)[
        0
    ].mT


def enlarged(
    values: Float[Tensor, "patch value"], grid: tuple[int, int], new_grid: tuple[int, int]
) -> Float[Tensor, "new_patch value"]:
    """Values of the patches of a grid, row by row, at those of another: bilinear."""
    if grid == new_grid:
        return values
    rows = rearrange(values, "(row column) value -> 1 value row column", row=grid[0])
    new = F.interpolate(rows, new_grid, mode="bilinear", align_corners=False)
    return rearrange(new, "1 value row column -> (row column) value")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class GroupedWindow:
    """Groups in one window of an image."""

    box: Box
    """Position in the resized image [pixels]."""
    grid: tuple[int, int]
    """Rows and columns of the tokens that the first assignment groups."""
    assignments: tuple[Float[Tensor, "_ _"], ...]
    """Soft assignment "group token" of each stage."""
    embedding: Float[Tensor, " embedding"]
    """The whole window in the space shared with text, L2-normalized."""
    segments: Float[Tensor, "group embedding"]
    """Segments of the last stage in that space, L2-normalized."""
    naming: Naming
    """Embeddings that are compared with labels."""
    naming_embeddings: Float[Tensor, "row embedding"]
    """These embeddings: `segments`; one for each token; or, with naming by parts, those of the
    patches of all `naming_grids`, one grid after another."""
    naming_grids: tuple[tuple[int, int], ...] = ()
    """Rows and columns of the patches that are compared with labels, with naming by parts: first of
    the size that was grouped, then of the other sizes."""
    naming_stage: int = -1
    """Stage whose groups are the parts, counted from 0; -1: the last."""

    @property
    def num_stages(self) -> int:
        """Number of grouping stages; 1 for a network without, where each patch is a group."""
        return max(1, len(self.assignments))

    def num_groups(self, stage: int) -> int:
        """Number of groups of a stage, counted from 0; -1 is the last."""
        return len(self.assignments[stage] if self.assignments else self.segments)

    def patch_assignment(self, stage: int) -> Float[Tensor, "group patch"]:
        """Soft assignment of patches to the groups of a stage; sums to 1 over the groups.

        It is the product of the assignments up to this stage. In a network without groups each
        patch is a group.
        """
        if not self.assignments:
            return torch.eye(len(self.segments), device=self.segments.device)
        chained = self.assignments[0]
        for assignment in self.assignments[1 : stage + 1]:
            chained = assignment @ chained
        return chained

    def last_groups(self, stage: int) -> Int[Tensor, " group"]:
        """Group of the last stage that each group of a stage is assigned to most."""
        found = torch.arange(self.num_groups(-1), device=self.segments.device)
        for assignment in reversed(self.assignments[stage + 1 :]):
            found = found[assignment.argmax(dim=0)]
        return found

    def soft_map(
        self, stage: int, group: int, size: tuple[int, int]
    ) -> Float[Tensor, "height width"]:
        """Share of every pixel of a map of this size in one group: its assignment, bilinear."""
        down, assignment, across = self._enlarging(stage, size)
        return down @ assignment[group] @ across

    def patch_embeddings(self) -> Float[Tensor, "patch embedding"]:
        """Embedding of each token: its own, or that of its segment, as labels are assigned."""
        if self.naming == "levels":
            return self.naming_embeddings
        if self.naming == "parts":
            own = self.naming_grids[0]
            return enlarged(self.naming_embeddings[: own[0] * own[1]], own, self.grid)
        return self.segments[self.patch_assignment(self.num_stages - 1).argmax(dim=0)]

    @property
    def labels_last_groups(self) -> bool:
        """True if the parts that take labels are the groups of the last stage."""
        last = self.naming_stage % self.num_stages == self.num_stages - 1
        return self.naming == "segments" or (self.naming == "parts" and last)

    def means(self, values: Float[Tensor, "row value"], stage: int) -> Float[Tensor, "group value"]:
        """Means of values of the rows of `naming_embeddings` in the groups of a stage.

        With naming by parts alone. The values of each of the `naming_grids` are brought to `grid`,
        bilinearly, and averaged; the mean of a group is that over the tokens that it holds under
        hard, chained assignment. A group that holds no token, but may be drawn between tokens,
        has the mean by its soft assignment.
        """
        sizes = [rows * columns for rows, columns in self.naming_grids]
        tokens = torch.stack(
            [
                enlarged(some, grid, self.grid)
                for some, grid in zip(torch.split(values, sizes), self.naming_grids, strict=True)
            ]
        ).mean(dim=0)
        soft = self.patch_assignment(stage % self.num_stages).to(tokens.dtype)
        hard = F.one_hot(soft.max(dim=0).indices, len(soft)).mT.to(tokens.dtype)
        empty = hard.sum(dim=1, keepdim=True) == 0
        weights = torch.where(empty, soft + torch.finfo(soft.dtype).tiny, hard)
        return (weights / weights.sum(dim=1, keepdim=True)) @ tokens

    def part_means(self, values: Float[Tensor, "row value"]) -> Float[Tensor, "part value"]:
        """Means of values of the rows in each part; the values, where every row is a part."""
        return self.means(values, self.naming_stage) if self.naming == "parts" else values

    def on_maps(
        self,
        function: Callable[[Tensor], Tensor],
        values: Float[Tensor, "row value"],
    ) -> Float[Tensor, "row value"]:
        """Values of the patches of `naming_embeddings`, changed as maps, each grid by itself."""
        grids = self.naming_grids or (self.grid,)
        sizes = [rows * columns for rows, columns in grids]
        changed = []
        for some, (rows, _) in zip(torch.split(values, sizes), grids, strict=True):
            maps = rearrange(some, "(row column) value -> 1 value row column", row=rows)
            changed.append(rearrange(function(maps), "1 value row column -> (row column) value"))
        return torch.cat(changed)

    def naming_map(self, size: tuple[int, int]) -> Int[Tensor, "height width"]:
        """Index of the part that takes a label at every pixel of a map of this size."""
        if self.naming == "segments":
            return self.group_map(self.num_stages - 1, size)
        if self.naming == "parts":
            return self.group_map(self.naming_stage % self.num_stages, size)
        device = self.naming_embeddings.device
        rows = torch.arange(size[0], device=device) * self.grid[0] // size[0]
        columns = torch.arange(size[1], device=device) * self.grid[1] // size[1]
        return (rows[:, None] * self.grid[1] + columns).int()

    def group_map(self, stage: int, size: tuple[int, int]) -> Int[Tensor, "height width"]:
        """Group at every pixel of a map of this (height, width).

        The assignment is enlarged bilinearly before the largest value is taken, so that borders
        between groups are smooth, as in the original.
        """
        down, assignment, across = self._enlarging(stage, size)
        rows = max(1, AT_ONCE // (len(assignment) * size[1]))
        strips = []
        for some in torch.split(down, rows):
            enlarged = some @ assignment @ across  # (group, row of the strip, width)
            # On a CPU the indices of max come 20 times faster than argmax.
            strips.append(enlarged.max(dim=0).indices.int())
        return torch.cat(strips)

    def refined_map(
        self, stage: int, image: Float[Tensor, "rgb height width"], refinement: Refinement
    ) -> Int[Tensor, "height width"]:
        """Group at every pixel of the window's part of the image, borders refined.

        Refinement is done at the size that the network saw, or that of the part if it is smaller.
        """
        height, width = image.shape[-2:]
        size = refinement.size(min(height, self.box.height), min(width, self.box.width))
        down, assignment, across = self._enlarging(stage, size)
        refined = refine(down @ assignment @ across, image.to(assignment.device), refinement)
        large = F.interpolate(refined[None], (height, width), mode="bilinear")[0]
        return large.max(dim=0).indices.int()

    def _enlarging(
        self, stage: int, size: tuple[int, int]
    ) -> tuple[
        Float[Tensor, "height row"],
        Float[Tensor, "group row column"],
        Float[Tensor, "column width"],
    ]:
        """Factors whose product is the assignment of a stage, enlarged to this size."""
        assignment = rearrange(
            self.patch_assignment(stage), "group (row column) -> group row column", row=self.grid[0]
        )
        down = bilinear(self.grid[0], size[0]).to(assignment.device)
        across = bilinear(self.grid[1], size[1]).to(assignment.device)
        return down, assignment, across.mT


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class GroupedImage:
    """An image and its groups, which can be labeled any number of times."""

    image: UInt8[np.ndarray, "height width 3"]
    """The image, RGB, 0 to 255."""
    working_size: tuple[int, int]
    """Height and width that the network saw [pixels]."""
    windows: Sequence[GroupedWindow]
    """Groups of each window."""
    refinement: Refinement | None = None
    """Refinement of the borders between groups; None: none."""

    def __repr__(self) -> str:
        height, width = self.size
        groups = " and ".join([str(self.num_groups(stage)) for stage in range(self.num_stages)])
        windows = f"{len(self.windows)} window{'s' * (len(self.windows) > 1)}"
        return f"GroupedImage({height}x{width}, {windows} of {groups} groups)"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image [pixels]."""
        height, width, _ = self.image.shape
        return height, width

    @property
    def num_stages(self) -> int:
        """Number of grouping stages; see `GroupedWindow.num_stages`."""
        return self.windows[0].num_stages

    def num_groups(self, stage: int) -> int:
        """Number of groups of a stage in one window."""
        return self.windows[0].num_groups(stage)

    def group_map(self, stage: int) -> UInt16[np.ndarray, "height width"]:
        """Group at every pixel of the image, of a stage counted from 0.

        Each window has groups of its own: those of window `i` are numbered from
        `i * num_groups(stage)`. Where windows overlap, the one with the nearest center counts.
        """
        owners = self._owners()
        result = torch.zeros(self.size, dtype=torch.int32)
        for index, window in enumerate(self.windows):
            place = self.in_image(window.box)
            groups = self._groups_at(window, stage, place).cpu()
            region = result[place.slices]
            owned = owners[place.slices] == index
            region[owned] = groups[owned] + index * self.num_groups(stage)
        return result.numpy().astype(np.uint16)

    def last_groups(self, stage: int) -> list[int]:
        """Number in `group_map(-1)` of the group that merged each group of a stage most."""
        count = self.num_groups(-1)
        return [
            index * count + group
            for index, window in enumerate(self.windows)
            for group in window.last_groups(stage).tolist()
        ]

    def soft_map(self, stage: int, group: int) -> Float32[np.ndarray, "height width"]:
        """Share of every pixel in one group, [0, 1]; 0 outside of the group's window.

        Args:
            stage: Stage, counted from 0.
            group: Number of the group in `group_map`.

        Raises:
            InputError: There is no such stage or group.
        """
        if not 0 <= stage < self.num_stages:
            raise InputError(f"there is no stage {stage + 1}; give 1 to {self.num_stages}")
        count = self.num_groups(stage)
        if not 0 <= group < count * len(self.windows):
            most = count * len(self.windows) - 1
            raise InputError(f"stage {stage + 1} has no group {group}; give 0 to {most}")
        window = self.windows[group // count]
        place = self.in_image(window.box)
        result = np.zeros(self.size, np.float32)
        shares = window.soft_map(stage, group % count, (place.height, place.width))
        result[place.slices] = shares.float().cpu().numpy()
        return result

    def _groups_at(
        self, window: GroupedWindow, stage: int, place: Box
    ) -> Int[Tensor, "height width"]:
        """Groups of a window at every pixel of its place in the image."""
        if self.refinement is None:
            return window.group_map(stage, (place.height, place.width))
        part = torch.from_numpy(self.image[place.slices]).float()
        return window.refined_map(stage, part.movedim(-1, 0), self.refinement)

    def shrunk(self, longest: int) -> "GroupedImage":
        """The same groups of the image, reduced to a longer side of at most `longest` pixels."""
        if max(self.size) <= longest:
            return self
        small = Image.fromarray(self.image)
        small.thumbnail((longest, longest))
        return replace(self, image=np.array(small))

    def panels(self, num_stages: int | None = None) -> list[tuple[str, Image.Image]]:
        """The image, then the groups of the first stages in colors, each with a title.

        Args:
            num_stages: Number of these stages; None: all.
        """
        panels = [("image", Image.fromarray(self.image))]
        for stage in range(self.num_stages if num_stages is None else num_stages):
            groups = self.group_map(stage)
            title = f"stage {stage + 1}: {len(np.unique(groups))} groups in use"
            panels.append((title, visualization.groups(self.image, groups)))
        return panels

    def to_image(self) -> Image.Image:
        """The image beside its groups of each stage."""
        panels = self.shrunk(visualization.LARGEST).panels()
        return visualization.side_by_side(panels, columns=len(panels))

    def _owners(self) -> Int[Tensor, "height width"]:
        """Index of the window whose center is nearest to each pixel of the image."""
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
        """Place of a window in the original image, rounded outwards [pixels]."""
        down = self.size[0] / self.working_size[0]
        across = self.size[1] / self.working_size[1]
        top, left = floor(box.top * down), floor(box.left * across)
        bottom = min(self.size[0], ceil((box.top + box.height) * down))
        right = min(self.size[1], ceil((box.left + box.width) * across))
        return Box(top, left, bottom - top, right - left)
