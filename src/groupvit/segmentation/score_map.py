"""Scores of every pixel, kept as one row per region of pixels that score alike."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.refinement import Refinement, refine

CHUNK = 1 << 22
"""Largest number of scores that are mixed at once, at pixels between regions."""


class _Neighbors(NamedTuple):
    """Source positions that bilinear interpolation mixes, for each position of a resized axis."""

    before: Int[Tensor, " position"]
    after: Int[Tensor, " position"]
    weight: Float[Tensor, " position"]
    """Weight of `after`; that of `before` is 1 minus it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ScoreMap:
    """Scores of every label at every pixel.

    A region holds the pixels that lie in the same part (segment or patch) of every window that
    covers them. If regions have the size that the network saw, the pixels of the image lie between
    theirs and their scores are mixed bilinearly; this makes a difference only where regions of
    different labels meet.
    """

    regions: Int[Tensor, "height width"]
    """Region of every pixel, at the size of the image or at that which the network saw."""
    table: Float[Tensor, "region label"]
    """Scores of every region, averaged over its windows."""
    size: tuple[int, int]
    """Height and width of the image [pixels]."""

    def dense(self) -> Float[Tensor, "label height width"]:
        """Scores of all labels at every pixel of the image; takes much memory."""
        scores = rearrange(self.table[self.regions], "height width label -> 1 label height width")
        return F.interpolate(scores, self.size, mode="bilinear", align_corners=False)[0]

    def best(self) -> Int[Tensor, "height width"]:
        """Label with the highest score at every pixel of the image: the argmax of `dense`.

        Where the four neighbors of a pixel have the same best label, so has their mixture; only
        elsewhere the mixture is computed.
        """
        labels = self.table.argmax(dim=1)[self.regions]
        if self.size == tuple(self.regions.shape):
            return labels
        down = _neighbors(self.size[0], self.regions.shape[0], self.regions.device)
        across = _neighbors(self.size[1], self.regions.shape[1], self.regions.device)
        above, below = labels[down.before], labels[down.after]
        result = above[:, across.before]
        agree = result == above[:, across.after]
        agree &= result == below[:, across.before]
        agree &= result == below[:, across.after]
        y, x = (~agree).nonzero(as_tuple=True)
        step = max(1, CHUNK // self.table.shape[1])
        for start in range(0, len(y), step):
            some = y[start : start + step], x[start : start + step]
            result[some] = self._mixture(down, across, *some).argmax(dim=1)
        return result

    def _mixture(
        self,
        down: _Neighbors,
        across: _Neighbors,
        y: Int[Tensor, " pixel"],
        x: Int[Tensor, " pixel"],
    ) -> Float[Tensor, "pixel label"]:
        """Bilinear mixture of the scores around some pixels."""
        above, below, lower = down.before[y], down.after[y], down.weight[y, None]
        left, right, further = across.before[x], across.after[x], across.weight[x, None]
        upper_row = self.table[self.regions[above, left]] * (1 - further)
        upper_row += self.table[self.regions[above, right]] * further
        lower_row = self.table[self.regions[below, left]] * (1 - further)
        lower_row += self.table[self.regions[below, right]] * further
        return upper_row * (1 - lower) + lower_row * lower


def _neighbors(length: int, source: int, device: torch.device) -> _Neighbors:
    """Neighbors of an axis that is resized from `source` to `length` positions."""
    scale = torch.tensor(source / length, dtype=torch.float32, device=device)
    position = ((torch.arange(length, device=device) + 0.5) * scale - 0.5).clamp(min=0)
    before = position.long().clamp(max=source - 1)
    return _Neighbors(before, (before + 1).clamp(max=source - 1), position - before)


def assemble(
    grouped: GroupedImage,
    tables: Sequence[Float[Tensor, "part label"]],
    *,
    resized: Literal["groups", "scores"],
) -> ScoreMap:
    """Overlay the parts of all windows; where windows overlap, their scores are averaged.

    Args:
        grouped: Groups of the image.
        tables: Scores of the parts that labels are assigned to, for each window.
        resized: Draw the groups at the size of the image; or at the size that the network saw, so
            that the scores are resized. Patches have no borders to draw: their scores are always
            resized.
    """
    by_patch = grouped.windows[0].naming == "levels"
    at_image = resized == "groups" and not by_patch
    size = grouped.size if at_image else grouped.working_size
    if len(tables) == 1:  # each part is a region; of patches one pixel each is enough
        [window] = grouped.windows
        regions = window.naming_map(window.grid if by_patch else size)
        return ScoreMap(regions=regions, table=tables[0], size=grouped.size)
    device = tables[0].device
    regions = torch.zeros(size, dtype=torch.int32, device=device)
    sums = tables[0].new_zeros(1, tables[0].shape[1])  # (region, label): region 0 is uncovered
    counts = tables[0].new_zeros(1)  # windows that cover each region
    for window, table in zip(grouped.windows, tables, strict=True):
        box = grouped.in_image(window.box) if at_image else window.box
        parts = window.naming_map((box.height, box.width))
        # Every pair of an old region and a part of this window that meet becomes a new region.
        pairs = regions[box.slices] * len(table) + parts
        present = torch.zeros(len(sums) * len(table), dtype=torch.bool, device=device)
        present[pairs] = True
        used = present.nonzero()[:, 0]  # (new region): its pair
        number = torch.cumsum(present, dim=0, dtype=torch.int32) - 1 + len(sums)
        regions[box.slices] = number[pairs]
        old, part = used // len(table), used % len(table)
        sums = torch.cat([sums, sums[old] + table[part]])
        counts = torch.cat([counts, counts[old] + 1])
    table = sums / counts.clamp(min=1)[:, None]
    return ScoreMap(regions=regions, table=table, size=grouped.size)


def refined(scores: ScoreMap, grouped: GroupedImage, refinement: Refinement) -> ScoreMap:
    """Scores with borders where the colors of the image change.

    Refinement is done at the size that the network saw, or that of the image if it is smaller. Each
    pixel of that size is then a region.
    """
    height, width = map(min, grouped.size, grouped.working_size)
    size = height, width
    pixels = torch.from_numpy(grouped.image).to(scores.table.device).float()
    image = rearrange(pixels, "height width rgb -> rgb height width")
    dense = refine(replace(scores, size=size).dense(), image, refinement)
    table = rearrange(dense, "label height width -> (height width) label")
    regions = torch.arange(len(table), device=table.device).view(size)
    return ScoreMap(regions=regions, table=table, size=grouped.size)
