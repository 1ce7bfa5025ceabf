"""Values that the page loads at its start: facts about the model, suggestions and examples."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, metadata

from pydantic import BaseModel

from groupvit.evaluation.benchmarks.published import PUBLISHED
from groupvit.exported.network import ExportedNetwork
from groupvit.segmentation.protocol import THRESHOLDS
from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.page.examples import Example
from groupvit.serving.service import Service
from groupvit.storybook.scene import CLASSES


class ThresholdRange(BaseModel):
    """Range of the background threshold."""

    lowest: float
    highest: float
    usual: float
    """Initial value of the slider: the threshold of the model."""
    certainty: str
    """Quantity that thresholds apply to."""
    has_words: bool
    """True if the model has words of its own for the background."""


class ExampleSettings(BaseModel):
    """Example image: files below `examples/`, and labels."""

    name: str
    thumbnail: str
    caption: str
    labels: list[str]


class PageSettings(BaseModel):
    """Values that the page loads at its start."""

    model: str
    version: str
    introduction: str
    num_stages: int
    suggestions: list[str]
    threshold: ThresholdRange
    max_upload_bytes: int
    examples: list[ExampleSettings]
    documentation: str | None
    """Address of the documentation, if the installed package names one."""

    @classmethod
    def of(cls, service: Service, version: str, examples: Sequence[Example]) -> "PageSettings":
        """Values for a service."""
        segmenter = service.segmenter
        suggested = suggestions(segmenter, service.name)
        stages = [stage for stage in segmenter.network.config.image.stages if stage.num_groups]
        return cls(
            model=service.name,
            version=version,
            introduction=introduction(segmenter),
            num_stages=len(stages) or 1,
            suggestions=list(suggested),
            threshold=threshold_range(segmenter, suggested),
            max_upload_bytes=service.limits.max_upload_bytes,
            examples=[
                ExampleSettings(
                    name=f"examples/{one.name}",
                    thumbnail=f"examples/{one.name}.webp",
                    caption=one.caption,
                    labels=list(one.labels),
                )
                for one in examples
            ],
            documentation=documentation(),
        )


def introduction(segmenter: Segmenter) -> str:
    """Sentence on the training of a model."""
    if segmenter.origin is not None and not segmenter.origin.trained:
        return "This model is untrained: its groups and labels are random."
    domain = segmenter.coverage.domain
    suits = f" It suits {domain}." if domain else ""
    return f"It learned from images with captions, without masks.{suits}"


def suggestions(segmenter: Segmenter, name: str) -> tuple[str, ...]:
    """Labels to suggest.

    Those of an exported model; the classes of drawn scenes; or the classes of COCO-Stuff that the
    model knows, first those that its captions name most.
    """
    network = segmenter.network
    if isinstance(network, ExportedNetwork) and network.settings.labels:
        return network.settings.labels
    if name == "storybook":
        return CLASSES
    found = PUBLISHED["coco-stuff"].labels
    unknown, nouns = set(segmenter.coverage.unknown(found)), segmenter.coverage.nouns
    known = [label for label in found if label not in unknown]
    return tuple(sorted(known, key=lambda label: -nouns.get(label, 0)))


def threshold_range(segmenter: Segmenter, suggested: Sequence[str]) -> ThresholdRange:
    """Range of background thresholds, which begins at that of the model."""
    usual = segmenter.default_background(suggested)
    lowest, highest = (0.0, 1.0) if segmenter.certainty == "score" else (-0.5, 0.5)
    default = usual.threshold
    if default is None:  # words, or thresholds of single labels, which the page does not have
        default = lowest if usual.words else THRESHOLDS[segmenter.certainty]
    return ThresholdRange(
        lowest=min(lowest, default),
        highest=max(highest, default),
        usual=default,
        certainty=segmenter.certainty,
        has_words=bool(usual.words),
    )


def documentation() -> str | None:
    """Address of the documentation in the metadata of the installed package."""
    try:
        urls = metadata("groupvit").get_all("Project-URL") or []
    except PackageNotFoundError:
        return None
    named = dict(url.split(", ", 1) for url in urls)
    return named.get("Documentation")
