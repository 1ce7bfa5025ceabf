"""HTML page of concepts."""

from collections.abc import Sequence

from groupvit import visualization
from groupvit.pages.elements import Panel
from groupvit.pages.rendering import render
from groupvit.probes.concepts import Concept


def concepts_page(found: Sequence[Concept], *, model: str, num_images: int) -> str:
    """HTML of the page.

    Args:
        found: Concepts, sorted by stage.
        model: Name of the model as the user gave it.
        num_images: Number of images that were searched.
    """
    return render(
        "probes/concepts_page.html",
        concepts=found,
        panels=_panels,
        model=model,
        num_images=num_images,
    )


def _panels(concept: Concept) -> list[Panel]:
    return [
        Panel(
            "",
            f"{example.certainty:.0%} certain",
            visualization.highlight(example.image, example.region),
            f"A region of {example.name}",
        )
        for example in concept.examples
    ]
