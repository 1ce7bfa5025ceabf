"""Benchmark of drawn scenes from the storybook."""

from dataclasses import dataclass

import numpy as np

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Sample
from groupvit.storybook.scene import CLASSES, Scene, scene
from groupvit.storybook.stuff import STUFF
from groupvit.storybook.writing import LARGEST, SMALLEST

SEED = 2022
"""Seed of scenes that no model of ours sees in training."""
CALIBRATION_SEED = 77
"""Seed of scenes for calibration, none of which is in an evaluation."""
TRAINING_SEED = 5
"""Seed of scenes whose masks may be trained on, none of which is in an evaluation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenes:
    """First scenes of a storybook's test split, which no training draws."""

    num: int
    """Number of scenes."""
    seed: int = SEED
    """Seed of the storybook."""
    size: int = 80
    """Height and width, 16 to 512 [pixels]."""
    only_things: bool = False
    """Stuff, such as sky, grass and walls, is background instead of classes."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.num < 1:
            raise InputError(f"num is {self.num}; give at least 1 scene")
        if not SMALLEST <= self.size <= LARGEST:
            raise InputError(f"size is {self.size}; give {SMALLEST} to {LARGEST} pixels")

    @property
    def key(self) -> str:
        """Short name by which protocols prescribe settings."""
        return "storybook-things" if self.only_things else "storybook"

    @property
    def name(self) -> str:
        """Name in reports."""
        return f"{self.key}, seed {self.seed}, {self.size} px"

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes, all of which compete in every image."""
        return CLASSES[len(STUFF) :] if self.only_things else CLASSES

    @property
    def has_background(self) -> bool:
        """Class 0 is the background; otherwise every pixel belongs to a class."""
        return self.only_things

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, index: int) -> Sample:
        """Draw a scene, the same every time, with its mask."""
        drawn = self.draw(index)
        mask = drawn.mask
        if self.only_things:
            is_stuff = mask < len(STUFF)
            mask = np.where(is_stuff, 0, mask - (len(STUFF) - 1)).astype(np.uint8)
        return Sample(f"scene {index}", drawn.image, mask)

    def draw(self, index: int) -> Scene:
        """Draw a scene, with its captions."""
        return scene(index, seed=self.seed, split="test", size=self.size)
