"""`groupvit demo`: an HTML page of photographs and drawn scenes, segmented."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from groupvit.cli.evaluate import summary
from groupvit.cli.models import load_model
from groupvit.progress import counted
from groupvit.weights.packaged import DEFAULT


def demo(
    *,
    out: Path = Path("out/demo"),
    model: str = DEFAULT,
    scenes_model: str = "storybook",
    num: int = 4,
    scenes: int = 40,
    seed: int = 2022,
    size: int = 80,
) -> int:
    """Segment photographs and drawn scenes, and write an HTML page of them.

    The photographs are part of the package. The scenes are new: no model was trained on them.
    Their borders are refined, as by --refine of other commands.

    Args:
        out: Folder for demo.html, a self-contained file; it is overwritten.
        model: Model of the photographs: a bundled name (photos, storybook, random), a folder, a
            file of weights, or a hub id.
        scenes_model: Model of the scenes, likewise.
        num: Number of scenes on the page.
        scenes: Number of scenes that mIoU is measured on.
        seed: Seed of the scenes.
        size: Height and width of the scenes, 16 to 512 [pixels].
    """
    from groupvit.demo.writing import DemoModel, write
    from groupvit.evaluation.benchmarks.scenes import Scenes
    from groupvit.photographs.bundled import PHOTOGRAPHS
    from groupvit.segmentation.protocol import OURS
    from groupvit.segmentation.refinement import Refinement
    from groupvit.segmentation.segmenter import Segmenter

    console = Console(highlight=False, soft_wrap=True)
    drawn = Scenes(num=scenes, seed=seed, size=size)
    refining = replace(OURS, refinement=Refinement())
    load = partial(Segmenter.load, device="auto")
    first = load_model(console, model, partial(load, model))
    second = load_model(console, scenes_model, partial(load, scenes_model, protocol=refining))
    with counted("images") as progress:
        page, evaluation = write(
            out,
            PHOTOGRAPHS,
            drawn,
            photograph_model=DemoModel(model, first),
            scene_model=DemoModel(scenes_model, second),
            num=num,
            on_progress=progress,
        )
    console.print(summary(evaluation))
    console.print(f"open in a browser: {page}", markup=False)
    return 0
