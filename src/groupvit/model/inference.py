"""Inference settings that a checkpoint recommends; they are no part of the architecture."""

import math
from dataclasses import dataclass
from typing import Literal

Naming = Literal["segments", "levels", "parts"]
"""Embeddings that are compared with the labels: those of the last segments, as in the paper; of
every patch, the mean of its own and of its segments' at every stage; or of every patch, whose
scores are then averaged in each part of the image, a group of one stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceConfig:
    """Settings of segmentation that suit a model; protocols and options override them."""

    short_side: int | None = None
    """Length of the shorter side of an image in segmentation [pixels]; None: twice image_size."""
    naming: Naming = "segments"
    """Embeddings that are compared with the labels; `levels` needs segments of every stage that
    were trained on nouns (objective.every_stage), `parts` a projector of patches
    (model.patch_projector)."""
    parts_stage: int = -1
    """Stage whose groups are the parts in naming by `parts`, counted from 0; -1: the last."""
    other_sides: tuple[int, ...] = ()
    """Lengths of the shorter side at which the patches are scored once more [pixels], in naming by
    `parts`; groups are found at `short_side` alone."""
    scale: float | None = None
    """Inverse temperature of the softmax over words, above 0; None: the learned logit scale."""
    background_words: tuple[str, ...] = ()
    """Words that compete with the labels where a background is requested without settings of its
    own; those that are labels are left out."""
    refinement: bool = False
    """Move borders of labels to where the colors of the image change (PAMR)."""
    refinement_resolution: float = 1.0
    """Share of the sides that the network saw at which borders are refined, (0, 1]."""

    def __post_init__(self) -> None:
        """Check the ranges, and that no setting is without effect."""
        for side in (self.short_side, *self.other_sides):
            if side is not None and side < 1:
                raise ValueError(f"short_side or other_sides has {side}; give at least 1 pixel")
        if self.scale is not None and not 0 < self.scale < math.inf:
            raise ValueError(f"scale is {self.scale}; give a number above 0")
        if not 0 < self.refinement_resolution <= 1:
            raise ValueError(
                f"refinement_resolution is {self.refinement_resolution}; give a share above 0, at "
                "most 1"
            )
        if self.refinement_resolution != 1 and not self.refinement:
            raise ValueError(
                f"refinement_resolution {self.refinement_resolution} has no effect without "
                "refinement; set it too or leave it out"
            )
        if self.parts_stage < -1:
            raise ValueError(f"parts_stage is {self.parts_stage}; give a stage from 0, or -1")
        if self.naming != "parts" and (self.other_sides or self.parts_stage != -1):
            raise ValueError(
                f"other_sides and parts_stage have no effect with naming {self.naming!r}; leave "
                "them out or take naming 'parts'"
            )


DEFAULT_INFERENCE = InferenceConfig()
"""Settings of the paper."""
