"""Inference settings that a checkpoint recommends; they are no part of the architecture."""

from dataclasses import dataclass
from typing import Literal

Naming = Literal["segments", "levels"]
"""Parts that are compared with the labels: the last segments, as in the paper; or every patch, by
the mean embedding of the patch and of its segments at every stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceConfig:
    """Settings of segmentation that suit a model; protocols and options override them."""

    short_side: int | None = None
    """Length of the shorter side of an image in segmentation [pixels]; None: twice image_size."""
    naming: Naming = "segments"
    """Parts that are compared with the labels; `levels` needs segments of every stage that were
    trained on nouns (objective.every_stage)."""

    def __post_init__(self) -> None:
        """Check the length."""
        if self.short_side is not None and self.short_side < 1:
            raise ValueError(f"short_side is {self.short_side}; give at least 1 pixel")


DEFAULT_INFERENCE = InferenceConfig()
"""Settings of the paper."""
