"""What is sent back."""

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from groupvit.segmentation.result import Segmentation
from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.limits import Limits


class Segmented(BaseModel):
    """Which pixels belong to which label."""

    height: int
    width: int
    shares: dict[str, float]
    """The part of the image that each label covers, in [0, 1]."""
    coco: dict[str, Any]
    """A COCO data set of this one image; masks are run lengths."""

    @classmethod
    def of(cls, found: Segmentation) -> "Segmented":
        """The answer for a segmentation."""
        height, width = found.label_map.shape
        return cls(height=height, width=width, shares=found.shares(), coco=found.to_coco())


class Embedded(BaseModel):
    """Vectors of length one."""

    words: dict[str, list[float]]
    image: list[float] | None


class Model(BaseModel):
    """A model that answers, and what it takes."""

    name: str
    source: str | None
    """Where its weights come from."""
    trained: bool
    embedding_dim: int
    groups: list[int]
    """At each stage that groups."""
    protocol: str
    limits: dict[str, float]

    @classmethod
    def of(cls, name: str, segmenter: Segmenter, limits: Limits) -> "Model":
        """What is to be said of a model."""
        config, origin = segmenter.network.config, segmenter.origin
        return cls(
            name=name,
            source=origin.source if origin else None,
            trained=origin is None or origin.trained,
            embedding_dim=config.embedding_dim,
            groups=[stage.num_groups for stage in config.image.stages if stage.num_groups],
            protocol=segmenter.protocol.name,
            limits=asdict(limits),
        )
