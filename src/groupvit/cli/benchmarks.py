"""`groupvit evaluate --list`, and what stands behind the name of a benchmark."""

from pathlib import Path
from typing import TYPE_CHECKING

from groupvit.cli.options import Flag
from groupvit.errors import InputError

if TYPE_CHECKING:
    from groupvit.evaluation.benchmarks.benchmark import Benchmark

ROOT = Path("data")
DRAWN = {
    "storybook": "drawn scenes, 23 classes: always there",
    "storybook-things": "the same, 15 classes and background (stuff)",
}
"""Benchmarks that need no files."""


def show_benchmarks(*, root: Path = ROOT, list: Flag = False) -> int:  # noqa: A002, ARG001
    """Show the published benchmarks, whether they are there, and what is expected on disk.

    Args:
        root: Folder in which they lie.
        list: This.
    """
    from rich.console import Console

    from groupvit.evaluation.benchmarks.published import PUBLISHED

    console = Console(highlight=False, soft_wrap=True)
    for one in PUBLISHED.values():
        try:
            there = f"[green]{len(one.open(root)):,} images[/]"
        except InputError:
            there = f"not under {root}/"
        classes = f"{len(one.labels)} classes{' and background' if one.has_background else ''}"
        console.print(f"[bold]{one.key}[/]  {one.title}, {classes}: {there}")
        console.print(f"    expected  {root}/{one.expected}", markup=False, style="dim")
        console.print(f"    from      {one.source}", markup=False, style="dim")
    for key, told in DRAWN.items():
        console.print(f"[bold]{key}[/]  {told}")
    console.print("or a folder of your own with images/, masks/ and classes.txt")
    return 0


def open_benchmark(
    name: str,
    root: Path,
    parts: tuple[Path | None, Path | None, Path | None],
    num_scenes: int,
    *,
    calibrates: bool = False,
) -> "Benchmark":
    """The benchmark that a person means.

    Args:
        name: A key, or a folder.
        root: Where published benchmarks lie.
        parts: Instead of a name, folders of images and masks, and the list of classes.
        num_scenes: How many are drawn for the storybook.
        calibrates: Whether they are to calibrate with, not to measure on: others then.

    Raises:
        InputError: There is no such thing, or files of it are missing.
    """
    from groupvit.evaluation.benchmarks.folder import read_folder, read_parts
    from groupvit.evaluation.benchmarks.published import PUBLISHED
    from groupvit.evaluation.benchmarks.scenes import CALIBRATION_SEED, SEED, Scenes

    images, masks, classes = parts
    if images and masks and classes and not name:
        return read_parts(images, masks, classes, name=str(images))
    if any(parts):
        raise InputError(
            "--images, --masks and --classes belong together, and stand in place of a BENCHMARK"
        )
    if name in PUBLISHED:
        return PUBLISHED[name].open(root)
    if name in DRAWN:
        seed = CALIBRATION_SEED if calibrates else SEED
        return Scenes(num=num_scenes, seed=seed, only_things=name == "storybook-things")
    if not name:
        raise InputError("name a BENCHMARK: a folder, or one of those that --list shows")
    if not Path(name).is_dir():
        known = ", ".join((*PUBLISHED, *DRAWN))
        raise InputError(f"no folder {name}, and no benchmark of that name; known are {known}")
    return read_folder(name)
