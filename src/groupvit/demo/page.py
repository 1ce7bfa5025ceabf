"""HTML page of the demo."""

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from groupvit.demo.rows import Row
from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.evaluation.evaluation import Evaluation
from groupvit.evaluation.reports.page import class_bars
from groupvit.model.inference import Naming
from groupvit.pages.elements import Metric
from groupvit.pages.rendering import render


class About(NamedTuple):
    """Facts about the model on the page."""

    model: str
    """Name of the model as the user gave it."""
    source: str
    """Source of its weights."""
    trained: bool
    num_parameters: int
    naming: Naming
    """Parts of an image that are compared with labels."""
    refined: bool
    """Borders are moved to where colors change."""


def build(about: About, scenes: Scenes, evaluation: Evaluation, rows: Sequence[Row]) -> str:
    """HTML of the page.

    Args:
        about: Facts about the model.
        scenes: Scenes that it was scored on.
        evaluation: Scores on them.
        rows: Scenes that are shown.
    """
    return render(
        "demo/page.html",
        about=about,
        scenes=scenes,
        metrics=_metrics(evaluation),
        bars=class_bars(evaluation),
        rows=rows,
        commands=_commands(about, scenes),
    )


def _metrics(evaluation: Evaluation) -> list[Metric]:
    scores = evaluation.scores
    metrics = [Metric("mIoU", scores.miou, "of its labels")]
    for stage in range(len(evaluation.oracles), 0, -1):
        used = evaluation.groups_used[stage - 1]
        note = f"if each of its {used:.1f} groups took the class that fits best"
        metrics.append(Metric(f"oracle, stage {stage}", evaluation.oracles[stage - 1].miou, note))
    return [*metrics, Metric("pixel accuracy", scores.pixel_accuracy, "of the pixels are right")]


def _commands(about: About, scenes: Scenes) -> list[tuple[str, str]]:
    """Purposes and commands of next steps."""
    model = shlex.quote(about.model)
    return [
        ("Other scenes", f"groupvit demo --model {model} --seed {scenes.seed + 1}"),
        ("The groups of an image of yours", f"groupvit groups IMAGE --model {model}"),
        (
            "An image by your own labels",
            "groupvit segment IMAGE --labels dog cat grass --model nvidia/groupvit-gcc-yfcc",
        ),
        (
            "Images with captions to train on, and a benchmark with masks",
            "groupvit storybook --out book",
        ),
        ("The scores of a model", f"groupvit evaluate book/test --model {model}"),
        ("A model of your own", "groupvit train configs/storybook-quick.toml"),
    ]
