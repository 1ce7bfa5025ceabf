"""JSON responses of the API."""

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from groupvit.segmentation.result import Segmentation
from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.limits import RequestLimits


class SegmentResponse(BaseModel):
    """Segmentation of an image."""

    height: int
    width: int
    shares: dict[str, float]
    """Fraction of the image that each label covers, [0, 1]."""
    coco: dict[str, Any]
    """COCO data set of this image; masks are run lengths."""
    words: dict[str, list[str]]
    """Words that stood for labels which the lexicon expanded, by label."""
    warnings: list[str]
    """Sentences about words that the model was not trained with."""

    @classmethod
    def of(cls, result: Segmentation, warnings: list[str]) -> "SegmentResponse":
        """Response for a segmentation, with warnings about its words."""
        height, width = result.label_map.shape
        return cls(
            height=height,
            width=width,
            shares=result.shares(),
            coco=result.to_coco(),
            words={label: list(words) for label, words in result.expansions.items()},
            warnings=warnings,
        )


class EmbedResponse(BaseModel):
    """Embeddings, L2-normalized."""

    words: dict[str, list[float]]
    image: list[float] | None
    warnings: list[str]
    """Sentences about words that the model was not trained with."""


class ModelResponse(BaseModel):
    """Facts about the model, and the limits of requests."""

    name: str
    source: str | None
    """Source of its weights."""
    trained: bool
    domain: str
    """Images that it suits; empty: unknown."""
    num_nouns: int
    """Number of nouns that it was trained with; 0: unknown."""
    embedding_dim: int
    groups: list[int]
    """Number of groups at each grouping stage."""
    protocol: str
    limits: dict[str, float]

    @classmethod
    def of(cls, name: str, segmenter: Segmenter, limits: RequestLimits) -> "ModelResponse":
        """Response for a model."""
        config, origin = segmenter.network.config, segmenter.origin
        return cls(
            name=name,
            source=origin.source if origin else None,
            trained=origin is None or origin.trained,
            domain=segmenter.coverage.domain,
            num_nouns=len(segmenter.coverage.nouns),
            embedding_dim=config.embedding_dim,
            groups=[stage.num_groups for stage in config.image.stages if stage.num_groups],
            protocol=segmenter.protocol.name,
            limits=asdict(limits),
        )
