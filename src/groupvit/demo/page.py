"""HTML page of the demo."""

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from groupvit.demo.photographs import PhotographRow
from groupvit.demo.rows import Row
from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.evaluation.evaluation import Evaluation
from groupvit.evaluation.reports.page import class_bars
from groupvit.model.inference import Naming
from groupvit.pages.elements import Metric
from groupvit.pages.rendering import render
from groupvit.weights.packaged import DEFAULT


class About(NamedTuple):
    """Facts about a model on the page."""

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


class PhotographsPart(NamedTuple):
    """First part of the page."""

    about: About
    rows: Sequence[PhotographRow]

    @property
    def bundled(self) -> bool:
        """The model is the bundled one, to which the sentences on failures apply."""
        return self.about.model == DEFAULT


class ScenesPart(NamedTuple):
    """Second part of the page."""

    about: About
    scenes: Scenes
    """Scenes that the model was scored on."""
    evaluation: Evaluation
    """Scores on them."""
    rows: Sequence[Row]
    """Scenes that are shown."""


def build(photographs: PhotographsPart, drawn: ScenesPart) -> str:
    """HTML of the page."""
    return render(
        "demo/page.html",
        photographs=photographs,
        drawn=drawn,
        metrics=_metrics(drawn.evaluation),
        bars=class_bars(drawn.evaluation),
        commands=_commands(photographs.about, drawn),
    )


def _metrics(evaluation: Evaluation) -> list[Metric]:
    scores = evaluation.scores
    metrics = [Metric("mIoU", scores.miou, "of its labels")]
    for stage in range(len(evaluation.oracles), 0, -1):
        used = evaluation.groups_used[stage - 1]
        note = f"if each of its {used:.1f} groups took the class that fits best"
        metrics.append(Metric(f"oracle, stage {stage}", evaluation.oracles[stage - 1].miou, note))
    return [*metrics, Metric("pixel accuracy", scores.pixel_accuracy, "of the pixels are right")]


def _commands(about: About, drawn: ScenesPart) -> list[tuple[str, str]]:
    """Purposes and commands of next steps."""
    model, scenes_model = shlex.quote(about.model), shlex.quote(drawn.about.model)
    return [
        (
            "A photograph of yours by your own labels",
            f"groupvit segment IMAGE --labels dog cat grass --model {model}",
        ),
        ("Its groups", f"groupvit groups IMAGE --model {model}"),
        ("Words that a model knows", f"groupvit info {model}"),
        (
            "Other scenes",
            f"groupvit demo --scenes-model {scenes_model} --seed {drawn.scenes.seed + 1}",
        ),
        (
            "Images with captions to train on, and a benchmark with masks",
            "groupvit storybook --out book",
        ),
        ("The scores of a model", f"groupvit evaluate book/test --model {scenes_model}"),
        ("A model of your own", "groupvit train configs/storybook-quick.toml"),
    ]
