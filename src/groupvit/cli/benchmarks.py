"""`groupvit evaluate --list`, and benchmarks by their names on the command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from groupvit.cli.options import Flag
from groupvit.errors import InputError
from groupvit.progress import counted

if TYPE_CHECKING:
    from groupvit.evaluation.benchmarks.benchmark import Benchmark
    from groupvit.evaluation.benchmarks.files import Orientation

ROOT = Path("data")
"""Default folder of published benchmarks."""
DRAWN = {
    "storybook": "drawn scenes, 23 classes; needs no files",
    "storybook-things": "the same scenes, 15 classes and background (stuff)",
}
"""Benchmarks of drawn scenes, with a description."""


def show_benchmarks(*, root: Path = ROOT, list: Flag = False) -> int:  # noqa: A002, ARG001
    """List the published benchmarks, their expected files, and whether they are present.

    Args:
        root: Folder of published benchmarks.
        list: List the benchmarks.
    """
    from groupvit.evaluation.benchmarks.published import PUBLISHED

    console = Console(highlight=False, soft_wrap=True)
    for one in PUBLISHED.values():
        try:
            present = f"[green]{len(one.open(root)):,} images[/]"
        except InputError:
            present = f"not under {root}/"
        classes = f"{len(one.labels)} classes{' and background' if one.has_background else ''}"
        console.print(f"[bold]{one.key}[/]  {one.title}, {classes}: {present}")
        console.print(f"    expected  {root}/{one.expected}", markup=False, style="dim")
        console.print(f"    from      {one.source}", markup=False, style="dim")
    for key, description in DRAWN.items():
        console.print(f"[bold]{key}[/]  {description}")
    console.print("or your own folder with images/, masks/ and classes.txt")
    return 0


def open_benchmark(
    name: str,
    root: Path,
    num_scenes: int,
    mask_values: Sequence[str] = (),
    mask_orientation: "Orientation | None" = None,
    *,
    parts: tuple[Path | None, Path | None, Path | None] = (None, None, None),
    for_calibration: bool = False,
) -> "Benchmark":
    """Open a benchmark by its name on the command line.

    Args:
        name: Key of a benchmark, or a folder.
        root: Folder of published benchmarks.
        num_scenes: Number of drawn scenes of the storybook.
        mask_values: Classes of the values of masks, for a folder.
        mask_orientation: Orientation of masks, for a folder.
        parts: Folders of images and of masks, and file of classes, in place of a name.
        for_calibration: Draw other scenes than those of evaluations.

    Raises:
        InputError: There is no such benchmark, or files of it are missing.
    """
    from groupvit.evaluation.benchmarks.folder import read_folder, read_parts
    from groupvit.evaluation.benchmarks.published import PUBLISHED

    images, masks, classes = parts
    if images and masks and classes and not name:
        return read_parts(
            images,
            masks,
            classes,
            name=str(images),
            mask_values=mask_values,
            mask_orientation=mask_orientation,
        )
    if any(parts):
        raise InputError("--images, --masks and --classes belong together, and replace BENCHMARK")
    if (mask_values or mask_orientation) and name in (*PUBLISHED, *DRAWN):
        option = "--mask-values" if mask_values else "--mask-orientation"
        raise InputError(f"{option} is for your own masks; those of {name} are known")
    if name in PUBLISHED:
        return PUBLISHED[name].open(root)
    if name in DRAWN:
        from groupvit.evaluation.benchmarks.scenes import CALIBRATION_SEED, SEED, Scenes

        seed = CALIBRATION_SEED if for_calibration else SEED
        return Scenes(num=num_scenes, seed=seed, only_things=name == "storybook-things")
    if not name:
        raise InputError("name a BENCHMARK: a folder, or a key that --list shows")
    if not Path(name).is_dir():
        keys = ", ".join((*PUBLISHED, *DRAWN))
        raise InputError(f"no folder {name}, and no benchmark of that name; known are {keys}")
    return read_folder(name, mask_values=mask_values, mask_orientation=mask_orientation)


def check_masks(benchmark: "Benchmark") -> str:
    """Line about the values in the masks of a user's benchmark; empty for other benchmarks.

    Raises:
        InputError: A mask cannot be used, a value has no class, or 255 seems to be a class.
    """
    from groupvit.evaluation.benchmarks.mask_survey import checked

    with counted("masks") as progress:
        found = checked(benchmark, on_progress=progress)
    return str(found or "")
