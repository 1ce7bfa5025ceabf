"""The demo: photographs and drawn scenes are segmented, and a page shows them with scores."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from groupvit.demo import photographs as photograph_rows
from groupvit.demo.page import About, PhotographsPart, ScenesPart, build
from groupvit.demo.rows import draw_row
from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.evaluation.evaluate import evaluate
from groupvit.evaluation.evaluation import Evaluation
from groupvit.files import make_folder, write_text
from groupvit.photographs.bundled import Photograph
from groupvit.segmentation.segmenter import Segmenter

FILE = "demo.html"
"""Name of the page."""


class DemoModel(NamedTuple):
    """Model of a part of the page."""

    name: str
    """As the user gave it."""
    segmenter: Segmenter


class Demo(NamedTuple):
    """Page that was written, and the scores on it."""

    page: Path
    evaluation: Evaluation
    """Scores of the scenes."""


def write(
    out: Path,
    photographs: Sequence[Photograph],
    scenes: Scenes,
    *,
    photograph_model: DemoModel,
    scene_model: DemoModel,
    num: int,
    on_progress: Callable[[int, int], object],
) -> Demo:
    """Segment photographs, score a model on scenes, and write a page of both.

    Args:
        out: Folder of the page, which replaces an older page.
        photographs: Photographs of the first part.
        scenes: Scenes that the second part is scored on.
        photograph_model: Model that segments the photographs.
        scene_model: Model that is scored on the scenes.
        num: Number of scenes on the page.
        on_progress: Called with the number of images that are done, and of all.

    Raises:
        InputError: `num` is below 1, or the folder cannot be written.
    """
    shown = replace(scenes, num=num)
    make_folder(out)
    before, total = len(photographs), len(photographs) + scenes.num + num
    first = []
    for done, photograph in enumerate(photographs, 1):
        first.append(photograph_rows.draw_row(photograph_model.segmenter, photograph))
        on_progress(done, total)
    segmenter = scene_model.segmenter
    evaluation = evaluate(
        segmenter, scenes, on_progress=lambda done, _: on_progress(before + done, total)
    )
    second = []
    for index in range(num):
        second.append(draw_row(segmenter, shown.draw(index), scenes.labels))
        on_progress(before + scenes.num + index + 1, total)
    text = build(
        PhotographsPart(_about(photograph_model), first),
        ScenesPart(_about(scene_model), scenes, evaluation, second),
    )
    write_text(page := out / FILE, text)
    return Demo(page, evaluation)


def _about(model: DemoModel) -> About:
    segmenter = model.segmenter
    origin = segmenter.origin
    return About(
        model=model.name,
        source=origin.source if origin else "weights of unknown origin",
        trained=origin is None or origin.trained,
        num_parameters=sum(parameter.numel() for parameter in segmenter.model.parameters()),
        naming=segmenter.naming,
        refined=segmenter.refinement is not None,
    )
