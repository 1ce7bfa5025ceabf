"""Scores of every pixel, kept as pieces: regions of the image whose pixels score alike."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.refinement import Refinement, refine

CHUNK = 1 << 22
"""Most numbers that a step over the pixels between pieces holds at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ScoreMap:
    """Scores of every label at every pixel.

    The pixels of a piece lie in the same group, or patch, of every window that covers them. If the
    pieces were drawn at the size that the network saw, the image's own pixels lie between theirs:
    scores are mixed bilinearly, which makes a difference only where pieces of different labels
    meet.
    """

    pieces: Int[Tensor, "height width"]
    """The piece of every pixel, at the size of the image or at that which the network saw."""
    table: Float[Tensor, "piece label"]
    """The scores of every piece, averaged over its windows."""
    size: tuple[int, int]
    """Height and width of the image [pixels]."""

    def dense(self) -> Float[Tensor, "label height width"]:
        """The scores of all labels at every pixel of the image; takes much memory."""
        scores = rearrange(self.table[self.pieces], "height width label -> 1 label height width")
        return F.interpolate(scores, self.size, mode="bilinear", align_corners=False)[0]

    def best(self) -> Int[Tensor, "height width"]:
        """The label with the highest score at every pixel of the image.

        Equals the argmax of `dense`. Where the four neighbors of a pixel agree on the best
        label so does their mixture; only elsewhere it is computed.
        """
        labels = self.table.argmax(dim=1)[self.pieces]
        if self.size == tuple(self.pieces.shape):
            return labels
        down = _between(self.size[0], self.pieces.shape[0], self.pieces.device)
        across = _between(self.size[1], self.pieces.shape[1], self.pieces.device)
        corners = [labels[rows][:, columns] for rows in down[:2] for columns in across[:2]]
        result = corners[0]
        agree = torch.stack([corner == result for corner in corners[1:]]).all(dim=0)
        y, x = (~agree).nonzero(as_tuple=True)
        step = max(1, CHUNK // self.table.shape[1])
        for start in range(0, len(y), step):
            some = y[start : start + step], x[start : start + step]
            result[some] = self._mix(down, across, *some).argmax(dim=1)
        return result

    def _mix(
        self,
        down: tuple[Tensor, Tensor, Tensor],
        across: tuple[Tensor, Tensor, Tensor],
        y: Int[Tensor, " pixel"],
        x: Int[Tensor, " pixel"],
    ) -> Float[Tensor, "pixel label"]:
        """Bilinear mixture of the scores around some pixels."""
        above, below, lower = (part[y] for part in down)
        left, right, further = (part[x] for part in across)

        def row(rows: Tensor) -> Tensor:
            start, end = self.table[self.pieces[rows, left]], self.table[self.pieces[rows, right]]
            return start * (1 - further)[:, None] + end * further[:, None]

        return row(above) * (1 - lower)[:, None] + row(below) * lower[:, None]


def _between(
    length: int, source: int, device: torch.device
) -> tuple[Int[Tensor, " place"], Int[Tensor, " place"], Float[Tensor, " place"]]:
    """For each place along a resized side: the source places before and after it, and how far."""
    scale = torch.tensor(source / length, dtype=torch.float32, device=device)
    position = ((torch.arange(length, device=device) + 0.5) * scale - 0.5).clamp(min=0)
    before = position.long().clamp(max=source - 1)
    return before, (before + 1).clamp(max=source - 1), position - before


def assemble(
    grouped: GroupedImage,
    tables: Sequence[Float[Tensor, "part label"]],
    *,
    resized: Literal["groups", "scores"],
) -> ScoreMap:
    """Lay the groups of all windows over each other; overlaps average their scores.

    Args:
        grouped: The image's groups.
        tables: The scores of what takes the words in each window.
        resized: Whether the groups are drawn at the size of the image, or at the size that the
            network saw, so that the scores are brought to that of the image. Patches have no
            borders to be drawn: theirs are always brought there.
    """
    device = tables[0].device
    by_patch = grouped.windows[0].patches is not None
    at_image = resized == "groups" and not by_patch
    seen = grouped.size if at_image else grouped.working_size
    if len(tables) == 1:
        [window] = grouped.windows
        pieces = window.naming_map(window.grid if by_patch else seen)
        return ScoreMap(pieces=pieces, table=tables[0], size=grouped.size)
    pieces = torch.zeros(seen, dtype=torch.int32, device=device)
    sums = tables[0].new_zeros(1, tables[0].shape[1])
    counts = tables[0].new_zeros(1)
    for window, table in zip(grouped.windows, tables, strict=True):
        box = grouped.in_image(window.box) if at_image else window.box
        parts = window.naming_map((box.height, box.width))
        pairs = pieces[box.rows, box.columns] * len(table) + parts
        present = torch.zeros(len(sums) * len(table), dtype=torch.bool, device=device)
        present[pairs] = True
        used = present.nonzero()[:, 0]
        number = torch.cumsum(present, dim=0, dtype=torch.int32) - 1 + len(sums)
        pieces[box.rows, box.columns] = number[pairs]
        below = used // len(table)
        sums = torch.cat([sums, sums[below] + table[used % len(table)]])
        counts = torch.cat([counts, counts[below] + 1])
    return ScoreMap(pieces=pieces, table=sums / counts.clamp(min=1)[:, None], size=grouped.size)


def refined(scores: ScoreMap, grouped: GroupedImage, refinement: Refinement) -> ScoreMap:
    """The scores with borders where the colors of the image change.

    It is done at the size that the network saw, or that of the image if this is smaller.
    """
    height, width = map(min, grouped.size, grouped.working_size)
    size = height, width
    pixels = torch.from_numpy(grouped.image).to(scores.table.device).float()
    image = rearrange(pixels, "height width rgb -> rgb height width")
    dense = refine(replace(scores, size=size).dense(), image, refinement)
    table = rearrange(dense, "label height width -> (height width) label")
    pieces = torch.arange(len(table), device=table.device).view(size)
    return ScoreMap(pieces=pieces, table=table, size=grouped.size)
