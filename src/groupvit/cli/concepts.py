"""`groupvit concepts`: regions and nearest words of group tokens, or of clusters of parts."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import tyro
from rich.console import Console
from rich.table import Table

from groupvit.cli.benchmarks import check_masks
from groupvit.cli.inputs import images_of
from groupvit.cli.models import load_model, warn_of_unknown_words
from groupvit.cli.options import Images, ModelOptions, Words
from groupvit.errors import InputError
from groupvit.progress import counted
from groupvit.text.prompts import parse_labels, quoted

if TYPE_CHECKING:
    from groupvit.probes.concepts import Concept
    from groupvit.probes.part_concepts import PartConcepts
    from groupvit.probes.parts import ClassMasks
    from groupvit.segmentation.segmenter import Segmenter

PAGE = "concepts.html"


class _Inputs(NamedTuple):
    """Images, and their masks if there are any."""

    images: list[Path]
    masks: "ClassMasks | None"

    def thinned(self, most: int) -> "_Inputs":
        """At most so many of the images, evenly spaced."""
        num = len(self.images)
        kept = [index * num // most for index in range(most)] if num > most else [*range(num)]
        masks = self.masks
        return _Inputs(
            [self.images[index] for index in kept],
            masks and replace(masks, read=lambda index: masks.read(kept[index])),
        )


def concepts(
    images: Images,
    /,
    options: Annotated[ModelOptions, tyro.conf.arg(name="")],
    *,
    labels: Words = (),
    examples: int = 6,
    stage: int | None = None,
    num_concepts: int | None = None,
    out: Path = Path("out"),
) -> int:
    """Show the regions that belong together across images, and the nearest words.

    For a model with group tokens these are the regions that every token is assigned. For a model
    that finds its groups inside each image, the parts of up to 1,000 images are clustered by their
    embeddings; with masks, the purity of classes within the clusters is printed beside that of as
    many clusters of the trunk's features.

    Args:
        images: Image files, folders, or patterns such as "photos/*.jpg"; a few hundred are enough.
            Or one folder with images/, masks/ and classes.txt, as for groupvit evaluate.
        options: Model and protocol.
        labels: Candidates for the nearest words; default: the words that the model knows.
        examples: Number of regions per group token or cluster.
        stage: Stage to show, 1 for the first; default: all.
        num_concepts: Number of clusters of a stage, for models without group tokens; default: 24.
        out: Folder for concepts.html, a single file; an existing one is replaced.
    """
    from groupvit.files import make_folder, write_text
    from groupvit.probes.concepts_page import concepts_page
    from groupvit.probes.part_concepts import MAX_IMAGES, finds_parts

    # Bad labels are refused before anything is loaded.
    words = [word for label in parse_labels(labels) for word in label.words] if labels else []
    numbers = {"--examples": examples, "--stage": stage, "--num-concepts": num_concepts}
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}; give at least 1")
    given = _inputs(images)
    make_folder(out)
    console = Console(highlight=False, soft_wrap=True)
    segmenter = load_model(console, options.model, options.segmenter)
    stages = _stages(segmenter, stage)
    if words:
        warn_of_unknown_words(console, segmenter, map(quoted, words))
    words = words or _known_words(segmenter)
    clustered = finds_parts(segmenter.network)
    if clustered and len(given.images) > MAX_IMAGES:
        console.print(f"{MAX_IMAGES:,} of {len(given.images):,} images, evenly spaced")
        given = given.thinned(MAX_IMAGES)
    found = _find(segmenter, given, words, examples, stages, num_concepts)
    page = concepts_page(
        found.concepts,
        found.purities,
        model=options.model,
        num_images=len(given.images),
        clustered=clustered,
    )
    write_text(out / PAGE, page)
    console.print(_table(found.concepts))
    for purity in found.purities:
        console.print(str(purity), markup=False)
    console.print(f"open in a browser: {out / PAGE}", markup=False)
    return 0


def _inputs(given: tuple[str, ...]) -> _Inputs:
    """Images of files, folders and patterns, or of one folder with masks."""
    from groupvit.evaluation.benchmarks.folder import CLASSES, IMAGES, MASKS, read_folder
    from groupvit.probes.parts import ClassMasks

    folder = Path(given[0])
    if len(given) > 1 or not all((folder / name).exists() for name in (IMAGES, MASKS, CLASSES)):
        return _Inputs(images_of(given), None)
    opened = read_folder(folder)
    check_masks(opened)
    return _Inputs(
        [pair.image for pair in opened.pairs],
        ClassMasks(
            num_classes=len(opened.classes),
            has_background=opened.has_background,
            read=lambda index: opened[index].mask,
        ),
    )


def _find(
    segmenter: "Segmenter",
    given: _Inputs,
    words: list[str],
    examples: int,
    stages: list[int],
    num_concepts: int | None,
) -> "PartConcepts":
    """Concepts of a model of either kind."""
    from groupvit.probes.concepts import concepts as find_concepts
    from groupvit.probes.part_concepts import (
        NUM_CONCEPTS,
        PartConcepts,
        finds_parts,
        part_concepts,
    )

    if not finds_parts(segmenter.network) and num_concepts is not None:
        raise InputError(
            "this model has group tokens, each of which is one concept; leave --num-concepts out"
        )
    with counted("images") as progress:
        if not finds_parts(segmenter.network):
            found = find_concepts(
                segmenter, given.images, words, num_examples=examples, on_progress=progress
            )
            return PartConcepts([one for one in found if one.stage in stages], [])
        return part_concepts(
            segmenter,
            given.images,
            words,
            num_concepts=num_concepts or NUM_CONCEPTS,
            num_examples=examples,
            stages=stages,
            masks=given.masks,
            on_progress=progress,
        )


def _stages(segmenter: "Segmenter", number: int | None) -> list[int]:
    """Stages to show, counted from 0."""
    image = segmenter.network.config.image
    num_stages = max(1, sum(stage.num_groups > 0 for stage in image.stages))
    if number is not None and number > num_stages:
        raise InputError(f"--stage is {number}, but this model has {num_stages} stages that group")
    return [*range(num_stages)] if number is None else [number - 1]


def _known_words(segmenter: "Segmenter") -> list[str]:
    names = segmenter.known_words.names()
    if not names:
        raise InputError(
            "this model does not store the words that it knows; give candidates, such as --labels "
            "sky grass dog"
        )
    return names


def _table(found: "list[Concept]") -> Table:
    table = Table(box=None, padding=(0, 2))
    for column in ("stage", "group", "nearest words", "patches"):
        table.add_column(column)
    for one in found:
        nearest = ", ".join(word for word, _ in one.words) or "none with a positive cosine"
        table.add_row(str(one.stage + 1), str(one.group), nearest, f"{one.area:.1%}")
    return table
