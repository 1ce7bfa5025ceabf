"""The demo: a model segments drawn scenes and is scored on them, and a page shows some."""

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
"""Name of the page."""


class Demo(NamedTuple):
    """Page that was written, and the scores on it."""

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
    """Score a model on scenes, and write a page with the first of them.

    Args:
        segmenter: Model.
        scenes: Scenes that it is scored on.
        out: Folder of the page, which replaces an older page.
        model: Name of the model on the page.
        num: Number of scenes on the page.
        on_progress: Called with the number of scenes that are done, and of all.

    Raises:
        InputError: `num` is below 1, or the folder cannot be written.
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
