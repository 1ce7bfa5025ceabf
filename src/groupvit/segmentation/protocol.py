"""Protocols: everything that decides how a picture is scored, under one name."""

from dataclasses import dataclass
from typing import Literal

from groupvit.errors import InputError
from groupvit.model.config import Naming
from groupvit.segmentation.refinement import Refinement
from groupvit.text.prompts import SIMPLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How a picture is resized, cut, and scored against words."""

    name: str
    """What reports call it."""
    short_side: int | None = 448
    """Length that the shorter side is resized to [pixels]; None: what the model asks for, or twice
    its training size."""
    long_side: int = 2048
    """Length that the longer side never exceeds [pixels]."""
    antialias: bool
    """Whether shrinking averages over what falls together, or samples as the original does."""
    border: Literal["fit", "cut"]
    """When a side is no multiple of the patch: fit the picture to one, or cut the rest off."""
    window: int | None = None
    """Side of the sliding windows [pixels]; None: the whole picture at once."""
    stride: int = 224
    """Step between windows [pixels]."""
    templates: tuple[str, ...] = SIMPLE
    """Sentences that a word is put into; their embeddings are averaged."""
    top_labels: int | None = None
    """How many labels may be used, those that fit the whole window best; None: all."""
    resized: Literal["groups", "scores"]
    """What is brought to the size of the picture: the groups, so that every pixel has the label of
    its group; or the scores of the pixels that the network saw, as published."""
    naming: Naming | None = None
    """What takes the words; None: what the model asks for."""
    refinement: Refinement | None = None
    """How borders are moved to where colours change; None: not at all."""
    scoring: Literal["softmax", "product"]
    """Softmax over the labels kept, or that times the softmax over all labels (the original)."""

    def __post_init__(self) -> None:
        """Check the numbers that people set."""
        for name in ("short_side", "long_side", "window", "stride", "top_labels"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; give at least 1")
        if self.window is not None and self.stride > self.window:
            raise InputError(
                f"stride {self.stride} is larger than window {self.window}; "
                "pixels between the windows would be lost"
            )


GROUPVIT = Protocol(
    name="groupvit",
    antialias=False,
    border="cut",
    window=448,
    top_labels=5,
    resized="scores",
    naming="segments",
    scoring="product",
)
"""The published pipeline: sliding windows of 448, the five likeliest labels of each."""

OURS = Protocol(
    name="ours",
    short_side=None,
    antialias=True,
    border="fit",
    resized="groups",
    scoring="softmax",
)
"""For people's pictures: the whole picture at once, every label that was asked for."""

PROTOCOLS = {protocol.name: protocol for protocol in (OURS, GROUPVIT)}


def named(name: str) -> Protocol:
    """The protocol of this name.

    Raises:
        InputError: There is none.
    """
    if name not in PROTOCOLS:
        raise InputError(f"there is no protocol {name!r}; known are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
