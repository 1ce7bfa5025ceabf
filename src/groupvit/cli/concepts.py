"""`groupvit concepts`: regions and nearest words of the group tokens of a model."""

from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from groupvit.cli.inputs import images_of
from groupvit.cli.models import load_model, warn_of_unknown_words
from groupvit.cli.options import Images, ModelOptions, Words
from groupvit.errors import InputError
from groupvit.progress import counted
from groupvit.text.prompts import parse_labels, quoted

PAGE = "concepts.html"


def concepts(
    images: Images,
    /,
    options: Annotated[ModelOptions, tyro.conf.arg(name="")],
    *,
    labels: Words,
    examples: int = 6,
    out: Path = Path("out"),
) -> int:
    """Show the regions that every group token is assigned, and the nearest words.

    Args:
        images: Image files, folders, or patterns such as "photos/*.jpg"; a few hundred are enough.
        options: Model and protocol.
        labels: Candidates for the nearest words.
        examples: Number of regions per group token.
        out: Folder for concepts.html, a single file; an existing one is replaced.
    """
    from groupvit.files import make_folder, write_text
    from groupvit.probes.concepts import concepts as find_concepts
    from groupvit.probes.concepts_page import concepts_page

    # Bad labels are refused before anything is loaded.
    words = [word for label in parse_labels(labels) for word in label.words]
    if examples < 1:
        raise InputError(f"--examples is {examples}; give at least 1")
    paths = images_of(images)
    make_folder(out)
    console = Console(highlight=False, soft_wrap=True)
    segmenter = load_model(console, options.model, options.segmenter)
    warn_of_unknown_words(console, segmenter, map(quoted, words))
    with counted("images") as progress:
        found = find_concepts(segmenter, paths, words, num_examples=examples, on_progress=progress)
    write_text(out / PAGE, concepts_page(found, model=options.model, num_images=len(paths)))
    table = Table(box=None, padding=(0, 2))
    for column in ("stage", "group", "nearest words", "patches"):
        table.add_column(column)
    for one in found:
        nearest = ", ".join(word for word, _ in one.words)
        table.add_row(str(one.stage + 1), str(one.group), nearest, f"{one.area:.1%}")
    console.print(table)
    console.print(f"open in a browser: {out / PAGE}", markup=False)
    return 0
