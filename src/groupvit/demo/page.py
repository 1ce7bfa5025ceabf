"""The page: one HTML file that needs no other, no network and no script."""

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from groupvit.demo.rows import Row
from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.evaluation.evaluation import Evaluation
from groupvit.evaluation.reports.page import class_bars
from groupvit.model.inference import Naming
from groupvit.pages.document import document, section, text
from groupvit.pages.pieces import Figure, article, bars, figures


class About(NamedTuple):
    """What the page says of the model."""

    model: str
    """What the person calls it."""
    source: str
    """Where its weights come from."""
    trained: bool
    num_parameters: int
    naming: Naming
    """What takes the words."""
    refined: bool
    """Whether borders are moved to where colors change."""


def build(about: About, scenes: Scenes, evaluation: Evaluation, rows: Sequence[Row]) -> str:
    """The whole page as text.

    Args:
        about: The model.
        scenes: What was drawn and scored.
        evaluation: The scores on them.
        rows: The scenes that are shown.
    """
    shown = [_row(number, row) for number, row in enumerate(rows, start=1)]
    sections = (
        section(
            "scores",
            f"Scores on {scenes.num:,} scenes it has never seen",
            (figures(_numbers(evaluation)), bars(class_bars(evaluation))),
        ),
        section("scenes", f"The first {len(rows)} of them", (_contest(about, scenes), *shown)),
        _way_on(about, scenes),
    )
    return document(
        "GroupViT: segmentation learned from captions",
        header=f"<h1>Segmentation learned from captions alone</h1>\n{_lead(about, scenes)}",
        main="\n".join(sections),
        skip=("scenes", "To the images"),
    )


def _lead(about: About, scenes: Scenes) -> str:
    never = (
        "This model has never seen a mask. From images with captions it found out by itself "
        "which pixels belong together, and which word they go by."
        if about.trained
        else "This model is untrained: its groups and its words mean nothing yet. A trained one "
        "has never seen a mask either; it learns from images with captions alone."
    )
    facts = f"{about.num_parameters / 1e6:.1f} million parameters; {about.source}."
    drawn = f"Scenes of {scenes.size} x {scenes.size} pixels, drawn with seed {scenes.seed}."
    return (
        f'<p class="lead">{never}</p>\n'
        f'<p class="muted"><strong>{text(about.model)}</strong>: {text(facts)} {text(drawn)}</p>'
    )


def _contest(about: About, scenes: Scenes) -> str:
    """How pixels come to their words."""
    if about.naming == "segments":
        taken = (
            "group of every image. A group takes the word that fits it best, and all its pixels "
            "with it."
        )
    else:
        taken = (
            "patch of every image. A patch takes the word that fits best on average over what "
            "it says itself and what its groups of all stages say, so that several may outvote "
            "one that is wrong."
        )
    borders = (
        " Then borders move to where the colors of the image change, those of groups too; "
        "nothing in that step is learned."
        if about.refined
        else ""
    )
    return f"<p>All {len(scenes.labels)} words compete for every {taken}{borders}</p>"


def _numbers(evaluation: Evaluation) -> list[Figure]:
    """The large numbers."""
    stages = zip(evaluation.oracles, evaluation.groups_used, strict=True)
    oracles = [
        Figure(
            f"oracle, stage {number}",
            _percent(oracle.miou),
            f"if its {used:.1f} groups had the right words",
        )
        for number, (oracle, used) in enumerate(stages, start=1)
    ]
    return [
        Figure("mIoU", _percent(evaluation.scores.miou), "of its words"),
        *reversed(oracles),
        Figure(
            "pixel accuracy",
            _percent(evaluation.scores.pixel_accuracy),
            "of the pixels are right",
        ),
    ]


def _row(number: int, row: Row) -> str:
    title = f'<span class="muted">{number}</span> &ldquo;{text(row.caption)}&rdquo;'
    return article(f"scene-{number}", title, row.panels)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\u00a0%"


def _way_on(about: About, scenes: Scenes) -> str:
    model = shlex.quote(about.model)
    steps = {
        "Other scenes": f"groupvit demo --model {model} --seed {scenes.seed + 1}",
        "The groups of an image of yours": f"groupvit groups IMAGE --model {model}",
        "An image by your own words": (
            "groupvit segment IMAGE --labels dog cat grass --model nvidia/groupvit-gcc-yfcc"
        ),
        "Images with captions to train on, and a benchmark with masks": (
            "groupvit storybook --out book"
        ),
        "The scores of a model": f"groupvit evaluate book/test --model {model}",
        "A model of your own": "groupvit train configs/storybook-quick.toml",
    }
    items = "\n".join(
        f"<dt>{text(what)}</dt><dd><code>{text(how)}</code></dd>" for what, how in steps.items()
    )
    return section("on", "How to go on", (f'<dl class="steps">\n{items}\n</dl>',))
