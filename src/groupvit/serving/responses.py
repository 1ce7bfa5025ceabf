"""JSON responses of the API."""

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict

from groupvit.segmentation.result import Segmentation
from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.limits import RequestLimits


class Described(BaseModel):
    """Values whose documentation is part of the description of the API."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class SegmentResponse(Described):
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


class EmbedResponse(Described):
    """Embeddings, L2-normalized."""

    words: dict[str, list[float]]
    image: list[float] | None
    warnings: list[str]
    """Sentences about words that the model was not trained with."""


class NamePosition(Described):
    """Center of a name on the image, as fractions of width and height."""

    value: int
    """Value in the map that it names: index of a label, or number of a group."""
    x: float
    y: float


class Group(Described):
    """Group that holds pixels of an image."""

    group: int
    """Number, as in the images of the command line; groups without pixels have one, too."""
    share: float
    """Fraction of the image, [0, 1]."""
    color: str
    """Color in CSS."""
    text_color: str
    """Color of text on it."""
    merged_into: int | None
    """Number of the group of the last stage that merged it; null at the last stage."""


class Stage(Described):
    """Groups of a grouping stage."""

    stage: int
    """Number of the stage, from 1."""
    map: str
    """PNG in base64: the number of each pixel's group is red + 256 green."""
    groups: list[Group]
    names: list[NamePosition]
    """Places for the numbers of groups."""


class GroupResponse(Described):
    """Session of an image, and its groups."""

    session: str
    """SHA-256 of the image file; stands for the image in other requests."""
    seconds: float
    """Time after its last use for which it is kept [s]."""
    height: int
    width: int
    stages: list[Stage]


class Label(Described):
    """Label of a segmentation."""

    name: str
    share: float
    """Fraction of the image, [0, 1]."""
    color: str
    """Color in CSS."""
    text_color: str
    """Color of text on it."""
    words: list[str]
    """Words that stood for it, if the lexicon expanded it."""


class LabelResponse(Described):
    """Labels of the groups of a session."""

    labels: list[Label]
    """The background, if there is one, comes first."""
    has_background: bool
    map: str
    """PNG in base64: the index of each pixel's label is red + 256 green."""
    names: list[NamePosition]
    group_labels: list[list[str]]
    """For each stage the label of every group, by its number."""
    unknown: dict[str, list[str]]
    """The nearest known words of each word that the model was not trained with."""
    warnings: list[str]
    """Sentences about these words."""


class ModelResponse(Described):
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
