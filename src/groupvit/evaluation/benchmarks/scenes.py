"""Scenes of the storybook as a benchmark, drawn when asked for."""

from dataclasses import dataclass

import numpy as np

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Sample
from groupvit.storybook.scene import CLASSES, Scene, scene
from groupvit.storybook.stuff import STUFF
from groupvit.storybook.writing import LARGEST, SMALLEST

SEED = 2022
"""Of a storybook that no model of ours is trained or measured on while it trains."""
CALIBRATION_SEED = 77
"""Of one that settings are chosen on, so that they are not measured on the same scenes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenes:
    """The first scenes of a storybook's test pages, which never occur in training."""

    num: int
    """How many."""
    seed: int = SEED
    """Another seed gives another storybook."""
    size: int = 80
    """Height and width, 16 to 512 [pixels]."""
    only_things: bool = False
    """Whether stuff, such as sky, grass and walls, is background instead of classes."""

    def __post_init__(self) -> None:
        """Check the numbers that people set."""
        if self.num < 1:
            raise InputError(f"{self.num} scenes are asked for; ask for at least 1")
        if not SMALLEST <= self.size <= LARGEST:
            raise InputError(f"size is {self.size}; give {SMALLEST} to {LARGEST} pixels")

    @property
    def key(self) -> str:
        """The short name by which protocols know it."""
        return "storybook-things" if self.only_things else "storybook"

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"{self.key}, seed {self.seed}, {self.size} px"

    @property
    def labels(self) -> tuple[str, ...]:
        """All classes; they compete in every image."""
        return CLASSES[len(STUFF) :] if self.only_things else CLASSES

    @property
    def has_background(self) -> bool:
        """Otherwise every pixel belongs to a class."""
        return self.only_things

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, index: int) -> Sample:
        """One of them, the same whenever it is drawn."""
        page = self.page(index)
        mask = page.mask
        if self.only_things:
            behind = mask < len(STUFF)
            mask = np.where(behind, 0, mask - (len(STUFF) - 1)).astype(np.uint8)
        return Sample(f"scene {index}", page.image, mask)

    def page(self, index: int) -> Scene:
        """One of them with its captions."""
        return scene(index, seed=self.seed, split="test", size=self.size)
