"""Draws scenes, has a model segment and score them, and writes the page."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from groupvit.demo.page import About, build
from groupvit.demo.rows import draw_row
from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.evaluation.evaluate import evaluate
from groupvit.evaluation.evaluation import Evaluation
from groupvit.files import make_folder, write_text
from groupvit.segmentation.segmenter import Segmenter

FILE = "storybook.html"
"""What the page is called."""


class Demo(NamedTuple):
    """What has come of it."""

    page: Path
    evaluation: Evaluation


def write(
    segmenter: Segmenter,
    scenes: Scenes,
    out: Path,
    *,
    model: str,
    num: int,
    on_progress: Callable[[int, int], object],
) -> Demo:
    """Score a model on scenes, and write a page that shows the first of them.

    Args:
        segmenter: The model.
        scenes: What it is scored on.
        out: Folder of the page, which replaces an older one.
        model: What the page calls the model.
        num: How many scenes the page shows.
        on_progress: Told how many scenes are done, and of how many.

    Raises:
        InputError: No scene is to be shown, or the folder cannot be written.
    """
    shown = replace(scenes, num=num)
    page = out / FILE
    make_folder(out)
    total = scenes.num + num
    evaluation = evaluate(segmenter, scenes, on_progress=lambda done, _: on_progress(done, total))
    rows = []
    for index in range(num):
        rows.append(draw_row(segmenter, shown.draw(index), scenes.labels))
        on_progress(scenes.num + index + 1, total)
    write_text(page, build(_about(segmenter, model), scenes, evaluation, rows))
    return Demo(page, evaluation)


def _about(segmenter: Segmenter, model: str) -> About:
    origin = segmenter.origin
    return About(
        model=model,
        source=origin.source if origin else "weights of unknown origin",
        trained=origin is None or origin.trained,
        num_parameters=sum(parameter.numel() for parameter in segmenter.model.parameters()),
        naming=segmenter.naming,
        refined=segmenter.protocol.refinement is not None,
    )
