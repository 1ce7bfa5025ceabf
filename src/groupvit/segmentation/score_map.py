"""Scores of every pixel, kept as one row per region of pixels that score alike."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.refinement import Refinement, refine

CHUNK = 1 << 22
"""Largest number of scores that are mixed at once, at pixels between regions."""
NEAR = 1e-6
"""Difference of scores above which a softmax in float32 keeps them apart, mixed or not."""


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

    def planes(self) -> Iterator[Float[Tensor, "height width"]]:
        """Scores of one label after the other at every pixel of the image, as in `dense`."""
        return map(self.plane, range(self.table.shape[1]))

    def plane(self, label: int) -> Float[Tensor, "height width"]:
        """Scores of the label of this index at every pixel of the image, as in `dense`."""
        plane = self.table[:, label][self.regions][None, None]
        return F.interpolate(plane, self.size, mode="bilinear", align_corners=False)[0, 0]

    def best(self, *, final_softmax: bool = False) -> Int[Tensor, "height width"]:
        """Label with the highest score at every pixel of the image: the argmax of `dense`.

        Where the four neighbors of a pixel have the same best label, so has their mixture; only
        elsewhere the mixture is computed.

        Args:
            final_softmax: Argmax of the softmax of `dense`: the first of the labels whose scores
                are equal after it in float32.
        """
        winners = _winners(self.table, final_softmax=final_softmax)
        if self.size == tuple(self.regions.shape):
            return winners[self.regions]
        if final_softmax:  # close scores tie or not as they are rounded, so that they are mixed
            winners = winners.masked_fill(_has_near_scores(self.table), -1)
        labels = winners[self.regions]
        down, across = (
            _neighbors(length, source, self.regions.device, fused=final_softmax)
            for length, source in zip(self.size, self.regions.shape, strict=True)
        )
        above, below = labels[down.before], labels[down.after]
        result = above[:, across.before]
        agree = result == above[:, across.after]
        agree &= result == below[:, across.before]
        agree &= result == below[:, across.after]
        agree &= result >= 0
        y, x = (~agree).nonzero(as_tuple=True)
        step = max(1, CHUNK // self.table.shape[1])
        for start in range(0, len(y), step):
            some = y[start : start + step], x[start : start + step]
            mixture = self._mixture(down, across, *some, fused=final_softmax)
            result[some] = _winners(mixture, final_softmax=final_softmax)
        return result

    def _mixture(
        self,
        down: _Neighbors,
        across: _Neighbors,
        y: Int[Tensor, " pixel"],
        x: Int[Tensor, " pixel"],
        *,
        fused: bool,
    ) -> Float[Tensor, "pixel label"]:
        """Bilinear mixture of the scores around some pixels."""
        above, below, lower = down.before[y], down.after[y], down.weight[y, None]
        left, right, further = across.before[x], across.after[x], across.weight[x, None]
        upper, upper_right, under, under_right = (
            self.table[self.regions[row, column]]
            for row in (above, below)
            for column in (left, right)
        )
        upper_row = _mixed(upper, upper_right, further, fused=fused)
        lower_row = _mixed(under, under_right, further, fused=fused)
        return _mixed(upper_row, lower_row, lower, fused=fused)


def _winners(scores: Float[Tensor, "row label"], *, final_softmax: bool) -> Int[Tensor, " row"]:
    """First label with the highest score of every row."""
    if not final_softmax:
        return scores.argmax(dim=1)
    # The sums of a softmax are rounded by memory layout: as in the dense map, pixels lie in a row.
    return scores.mT.contiguous().softmax(dim=0).argmax(dim=0)


def _has_near_scores(table: Float[Tensor, "region label"]) -> Bool[Tensor, " region"]:
    """True for regions whose two highest scores are close to each other."""
    highest = table.topk(min(2, table.shape[1]), dim=1).values
    return highest[:, 0] - highest[:, -1] < NEAR


def _mixed(
    first: Float[Tensor, "*axes"],
    second: Float[Tensor, "*axes"],
    weight: Float[Tensor, "*#axes"],
    *,
    fused: bool,
) -> Float[Tensor, "*axes"]:
    """Mixture of two scores; `fused`: one product is not rounded, as in `interpolate` on CPUs."""
    if not fused:
        return first * (1 - weight) + second * weight
    return (first.double() * (1 - weight).double() + (second * weight).double()).float()


def _neighbors(length: int, source: int, device: torch.device, *, fused: bool) -> _Neighbors:
    """Neighbors of an axis that is resized from `source` to `length` positions.

    Positions are rounded after each operation, or once (`fused`), as `interpolate` does.
    """
    scale = torch.tensor(source / length, dtype=torch.float32, device=device)
    centers = torch.arange(length, device=device) + 0.5
    if fused:
        position = (centers.double() * scale.double() - 0.5).float().clamp(min=0)
    else:
        position = (centers * scale - 0.5).clamp(min=0)
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

    Refinement is done at its share of the size that the network saw, or of that of the image if it
    is smaller. Each pixel of that size is then a region.
    """
    size = refinement.size(*map(min, grouped.size, grouped.working_size))
    pixels = torch.from_numpy(grouped.image).to(scores.table.device).float()
    image = rearrange(pixels, "height width rgb -> rgb height width")
    dense = refine(replace(scores, size=size).dense(), image, refinement)
    table = rearrange(dense, "label height width -> (height width) label")
    regions = torch.arange(len(table), device=table.device).view(size)
    return ScoreMap(regions=regions, table=table, size=grouped.size)
