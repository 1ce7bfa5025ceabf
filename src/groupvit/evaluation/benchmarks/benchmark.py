"""Interface of a benchmark: classes, and images with masks."""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8


class Sample(NamedTuple):
    """Image and mask."""

    name: str
    """Name of the image in reports."""
    image: UInt8[np.ndarray, "height width 3"]
    """RGB, 0 to 255."""
    mask: UInt8[np.ndarray, "height width"]
    """Class of every pixel, from 0; pixels of 255 do not count."""


@runtime_checkable
class Benchmark(Protocol):
    """Images with masks, in a fixed order."""

    @property
    def key(self) -> str:
        """Short name by which protocols prescribe settings; empty for your own benchmark."""
        ...

    @property
    def name(self) -> str:
        """Name in reports."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the classes, such as `car|taxi`, without the background."""
        ...

    @property
    def has_background(self) -> bool:
        """Class 0 of the masks is the background, and the labels are numbered from 1."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """Read an image and its mask."""
        ...
