"""What an evaluation asks of a benchmark: labels, and images with their masks, one by one."""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8


class Sample(NamedTuple):
    """An image and the class of its every pixel."""

    name: str
    """What reports call it."""
    image: UInt8[np.ndarray, "height width 3"]
    """RGB, 0 to 255."""
    mask: UInt8[np.ndarray, "height width"]
    """Number of the class, from 0; 255 does not count."""


@runtime_checkable
class Benchmark(Protocol):
    """Images with masks, in an order that never changes."""

    @property
    def key(self) -> str:
        """The short name by which protocols know it; empty for one of your own."""
        ...

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Its classes, such as `car|taxi`, without a background."""
        ...

    @property
    def has_background(self) -> bool:
        """Whether class 0 of the masks is what no label claims; the labels then count from 1."""
        ...

    def __len__(self) -> int:
        """How many images there are."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """One of them, read when asked for."""
        ...
