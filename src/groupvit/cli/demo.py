"""`groupvit demo`: an HTML page of drawn scenes, segmented."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from groupvit.cli.evaluate import summary
from groupvit.cli.models import load_model
from groupvit.progress import counted


def demo(
    *,
    out: Path = Path("out/demo"),
    model: str = "storybook",
    num: int = 12,
    scenes: int = 200,
    seed: int = 2022,
    size: int = 80,
) -> int:
    """Draw scenes that no model was trained on, segment them, and write an HTML page of them.

    Borders are refined, as by --refine of other commands.

    Args:
        out: Folder for storybook.html, a self-contained file; it is overwritten.
        model: A bundled name (storybook, random), a folder, a file of weights, or a hub id.
        num: Number of scenes on the page.
        scenes: Number of scenes that mIoU is measured on.
        seed: Seed of the scenes.
        size: Height and width of the scenes, 16 to 512 [pixels].
    """
    from groupvit.demo.writing import write
    from groupvit.evaluation.benchmarks.scenes import Scenes
    from groupvit.segmentation.protocol import OURS
    from groupvit.segmentation.refinement import Refinement
    from groupvit.segmentation.segmenter import Segmenter

    console = Console(highlight=False, soft_wrap=True)
    drawn = Scenes(num=scenes, seed=seed, size=size)
    protocol = replace(OURS, refinement=Refinement())
    load = partial(Segmenter.load, model, protocol=protocol, device="auto")
    segmenter = load_model(console, model, load)
    with counted("scenes") as progress:
        page, evaluation = write(segmenter, drawn, out, model=model, num=num, on_progress=progress)
    console.print(summary(evaluation))
    console.print(f"open in a browser: {page}", markup=False)
    return 0
