"""HTML page of concepts."""

from collections.abc import Sequence
from functools import partial

from groupvit import visualization
from groupvit.pages.elements import Metric, Panel
from groupvit.pages.rendering import render
from groupvit.probes.concepts import Concept
from groupvit.probes.purity import Purity


def concepts_page(
    found: Sequence[Concept],
    purities: Sequence[Purity] = (),
    *,
    model: str,
    num_images: int,
    clustered: bool = False,
) -> str:
    """HTML of the page.

    Args:
        found: Concepts, sorted by stage.
        purities: Their purity, if the images have masks.
        model: Name of the model as the user gave it.
        num_images: Number of images that were searched.
        clustered: True if the concepts are clusters of parts instead of group tokens.
    """
    return render(
        "probes/concepts_page.html",
        concepts=found,
        metrics={stage: _metrics(purities, stage) for stage in {one.stage for one in found}},
        panels=partial(_panels, clustered=clustered),
        model=model,
        num_images=num_images,
        clustered=clustered,
    )


def _metrics(purities: Sequence[Purity], stage: int) -> list[Metric]:
    return [
        metric
        for one in purities
        if one.stage == stage
        for metric in (
            Metric("purity of concepts", one.concepts.mean, one.counted),
            Metric("clusters of the trunk", one.trunk.mean, one.counted),
            Metric("one class everywhere", one.chance, one.counted),
        )
    ]


def _panels(concept: Concept, *, clustered: bool) -> list[Panel]:
    return [
        Panel(
            "",
            f"cosine {example.certainty:.2f}" if clustered else f"{example.certainty:.0%} certain",
            visualization.highlight(example.image, example.region),
            f"A region of {example.name}",
        )
        for example in concept.examples
    ]
