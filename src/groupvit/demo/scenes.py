"""Scenes of the storybook as a benchmark, drawn when asked for."""

from dataclasses import dataclass

from groupvit.errors import InputError
from groupvit.evaluation.benchmark import Sample
from groupvit.storybook.scene import CLASSES, Scene, scene
from groupvit.storybook.writing import LARGEST, SMALLEST

SEED = 2022
"""Of a storybook that no model of ours is trained or measured on while it trains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenes:
    """The first scenes of a storybook's test pages, which never occur in training."""

    num: int
    """How many."""
    seed: int = SEED
    """Another seed gives another storybook."""
    size: int = 80
    """Height and width, 16 to 512 [pixels]."""

    def __post_init__(self) -> None:
        """Check the numbers that people set."""
        if self.num < 1:
            raise InputError(f"{self.num} scenes are asked for; ask for at least 1")
        if not SMALLEST <= self.size <= LARGEST:
            raise InputError(f"size is {self.size}; give {SMALLEST} to {LARGEST} pixels")

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"storybook, seed {self.seed}, {self.size} px"

    @property
    def labels(self) -> tuple[str, ...]:
        """All classes; they compete in every picture."""
        return CLASSES

    @property
    def has_background(self) -> bool:
        """Every pixel belongs to a class."""
        return False

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, index: int) -> Sample:
        """One of them, the same whenever it is drawn."""
        page = self.page(index)
        return Sample(page.image, page.mask)

    def page(self, index: int) -> Scene:
        """One of them with its captions."""
        return scene(index, seed=self.seed, split="test", size=self.size)
