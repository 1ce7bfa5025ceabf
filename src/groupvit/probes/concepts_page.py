"""HTML page of concepts."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from groupvit import visualization
from groupvit.pages.document import document, section, text
from groupvit.pages.pieces import Panel, article
from groupvit.probes.concepts import Concept, Example


def concepts_page(found: Sequence[Concept], *, model: str, num_images: int) -> str:
    """HTML of the page.

    Args:
        found: Concepts, sorted by stage.
        model: Name of the model as the user gave it.
        num_images: Number of images that were searched.
    """
    sections = [
        _stage(stage, list(some)) for stage, some in groupby(found, key=lambda one: one.stage)
    ]
    lead = (
        f"<h1>Concepts of the groups of {text(model)}</h1>\n"
        f'<p class="lead">Every group token is one learned vector, the same for all images. Shown '
        f"are the regions of {num_images:,} images that it was assigned with most certainty; "
        "the rest of each image is dark.</p>\n"
        '<p class="muted">Words are the nearest to the mean of these regions, of those that were '
        "given, with their cosines. No group was ever told what to stand for.</p>"
    )
    return document(f"Concepts of {model}", header=lead, main="\n".join(sections))


def _stage(stage: int, found: Sequence[Concept]) -> str:
    return section(
        f"stage-{stage + 1}",
        f"Stage {stage + 1}: {len(found)} group tokens in use",
        map(_concept, found),
    )


def _concept(concept: Concept) -> str:
    words = ", ".join(f"{word} {cosine:.2f}" for word, cosine in concept.words)
    area = f"{concept.area:.1%} of all patches, in {concept.used:.0%} of the images"
    title = (
        f'<span class="muted">{concept.group}</span> {text(words or "too small to be shown")} '
        f'<span class="muted">{area}</span>'
    )
    return article(f"group-{concept.stage + 1}-{concept.group}", title, _panels(concept.examples))


def _panels(examples: Iterable[Example]) -> list[Panel]:
    return [
        Panel(
            "",
            f"{one.certainty:.0%} certain",
            visualization.highlight(one.image, one.region),
            f"A region of {one.name}",
        )
        for one in examples
    ]
