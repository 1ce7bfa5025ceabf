"""`groupvit info`: architecture, number of parameters, origin and words of a model."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from groupvit.weights.packaged import DEFAULT

if TYPE_CHECKING:
    from groupvit.model.config import ImageEncoderConfig
    from groupvit.text.coverage import Coverage
    from groupvit.weights.checkpoint import LoadedModel

SHOWN = 20
"""Number of nouns, and of distilled names, that are listed."""


def info(
    model: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="MODEL")]] = DEFAULT,
    /,
    *,
    revision: str | None = None,
) -> int:
    """Show the architecture of a model, its number of parameters, its origin, and its words.

    The words are the most frequent nouns of the captions that it was trained with, and names that
    it learned from a classifier; models from elsewhere have none.

    Args:
        model: A bundled name (photos, storybook, random), a folder, a file of weights, or a hub id
            such as nvidia/groupvit-gcc-yfcc.
        revision: Branch, tag or commit of a model on the hub.
    """
    from groupvit.weights import catalogue, file_digests

    console = Console(highlight=False)
    console.print(_table(catalogue.load(model, revision=revision)))
    for file in file_digests.of_model(model, revision=revision):
        console.print(f"  SHA-256  {file.digest}  {file.name}", markup=False, soft_wrap=True)
    return 0


def _encoder(image: "ImageEncoderConfig") -> Iterator[tuple[str, str]]:
    """Rows about the stages of an image encoder."""
    if image.grouping == "rounds":
        yield "stem", f"{image.stem}, pretrained; tokens of width {image.dim}"
        for number, stage in enumerate(image.stages[:-1], start=1):
            yield f"stage {number}", f"{stage.num_groups} groups, found in each image"
        return
    for number, stage in enumerate(image.stages, start=1):
        grouped = f", {stage.num_group_tokens} group tokens, {stage.num_groups} groups"
        ends = grouped if stage.num_groups else ""
        yield f"stage {number}", f"{stage.depth} blocks of width {image.dim}{ends}"


def _table(loaded: "LoadedModel") -> Table:
    model, origin, inference, background, _ = loaded
    image, text = model.config.image, model.config.text
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("from", origin.source)
    table.add_row("layout", origin.layout)
    if not origin.trained:
        table.add_row("", "[yellow]untrained: its results are meaningless[/]")
    _add_words(table, loaded.coverage)
    patch = image.embedded_patch_size
    table.add_row("images", f"{image.image_size} px in training, patches of {patch}")
    for row in _encoder(image):
        table.add_row(*row)
    table.add_row("grouping block", image.grouping)
    table.add_row("naming", inference.naming)
    if inference.scale is not None:
        table.add_row("scale", f"scores are a softmax of cosine x {inference.scale:g}")
    if inference.other_sides:
        table.add_row("other sizes", ", ".join(f"{side} px" for side in inference.other_sides))
    if inference.refinement:
        share = inference.refinement_resolution
        at = "" if share == 1 else f", at {share:g} of the size"
        table.add_row("refinement", f"of borders, as by --refine{at}")
    table.add_row("text", f"{text.depth} blocks of width {text.dim}, {text.context_length} tokens")
    table.add_row("embedding", f"{model.config.embedding_dim} numbers")
    if model.background_layer is not None:
        table.add_row("background", "learned layer: a threshold for each part")
    if spatial := model.config.spatial:
        table.add_row("spatial block", f"{spatial.kind}, depth {spatial.depth}")
    if background is not None:
        own = f"{len(background.thresholds)} labels have their own" if background.thresholds else ""
        known = background.threshold is not None
        common = f"background below {background.threshold:.3f}" if known else ""
        table.add_row("calibrated", "; ".join(part for part in (common, own) if part))
    table.add_row("temperature", f"logits are cosine x {model.logit_scale.item():.2f}")
    for name, part in {
        "image encoder": model.image_encoder,
        "text encoder": model.text_encoder,
        "projectors": None,
        "all": model,
    }.items():
        parts = [part] if part else [model.segment_projector, model.text_projector]
        count = sum(p.numel() for one in parts for p in one.parameters())
        table.add_row(f"parameters, {name}", f"{count:,}")
    return table


def _add_words(table: Table, coverage: "Coverage") -> None:
    """Rows for the domain, the nouns of the captions, and distilled names; none if unknown."""
    if coverage.domain:
        table.add_row("domain", escape(coverage.domain))
    if coverage.nouns:
        count = f"{len(coverage.nouns):,}{'' if coverage.is_complete else ', the most frequent'}"
        counted = (f"{noun} {number:,}" for noun, number in coverage.nouns.items())
        table.add_row("nouns of captions", f"{count}: {_listed(counted, len(coverage.nouns))}")
    if coverage.distilled:
        number = len(coverage.distilled)
        table.add_row("names distilled", f"{number:,}: {_listed(coverage.distilled, number)}")


def _listed(words: Iterable[str], number: int) -> str:
    return escape(", ".join(islice(words, SHOWN))) + (", ..." if number > SHOWN else "")
