"""`groupvit benchmark`: runtimes of a model on this machine, in one table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from groupvit.cli.inputs import images_of
from groupvit.cli.options import Words
from groupvit.errors import InputError
from groupvit.processor import read
from groupvit.progress import counted
from groupvit.weights.packaged import DEFAULT

if TYPE_CHECKING:
    from groupvit.evaluation.runtimes import Row

WRONG = 1
"""Exit code if the label maps of a runtime are wrong."""
Numbers = Annotated[tuple[int, ...], tyro.conf.arg(metavar="INT [INT ...]")]


def benchmark(
    model: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="MODEL")]] = DEFAULT,
    /,
    *,
    images: str | None = None,
    labels: Words = (),
    sizes: Numbers = (224, 448),
    revision: str | None = None,
) -> int:
    """Compare the runtimes of a model on this machine: time, memory and label maps.

    Each runtime and precision loads the model in a process of its own and segments the same images
    one by one. The table shows the time to load (where OpenVINO compiles for the first time, that
    too), the time to the first label map, images per second, the largest memory of the process, and
    the share of pixels with the same label as by PyTorch in float32. Where a share shows more than
    rounding, the exit code is 1.

    Args:
        model: Name of the model, or folder of an exported one.
        images: Image file, folder or pattern; default: the photographs of this package.
        labels: Labels; default: the most frequent words of the model.
        sizes: Lengths that the shorter sides of the images are resized to [pixels].
        revision: Branch, tag or commit of a model on the hub.
    """
    if not sizes or min(sizes) < 1:
        raise InputError(f"--sizes is {' '.join(map(str, sizes))}; give lengths of at least 1")
    from groupvit.evaluation.runtimes import Task, compare, photographs

    found = tuple(images_of([images])) if images else photographs()
    console = Console(highlight=False, soft_wrap=True)
    with counted("runtimes") as progress:
        rows, skipped = compare(
            model, Task(found, labels, sizes), revision=revision, on_progress=progress
        )
    console.print(str(read()), markup=False)
    console.print(table(rows, len(found)))
    for one in skipped:
        console.print(f"{one.way.runtime}, {one.way.dtype}: {one.reason}", markup=False)
    wrong = [row for row in rows if row.is_wrong]
    for row in wrong:
        console.print(
            f"wrong: {row.way.runtime} in {row.way.dtype} at {row.size} pixels has other labels "
            f"at {1 - row.agreement:.2%} of the pixels",
            style="red",
            markup=False,
        )
    return WRONG if wrong else 0


def table(rows: "Sequence[Row]", num_images: int) -> Table:
    """Table of all rows; rates relative to the reference at the same size come first."""
    reference = {row.size: row.rate for row in rows if row.way == rows[0].way}
    title = f"{num_images} images; relative to {rows[0].way.runtime} in {rows[0].way.dtype}"
    result = Table(box=box.SIMPLE, title=title, title_justify="left", padding=0, pad_edge=False)
    result.add_column("runtime", no_wrap=True)
    result.add_column("precision", no_wrap=True)
    for name in ("px", "relative", "images/s", "load s", "first s", "MB", "same labels"):
        result.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        result.add_row(
            row.way.runtime,
            row.way.dtype,
            str(row.size),
            f"{row.rate / reference[row.size]:.2f}",
            f"{row.rate:.1f}",
            f"{row.load:.1f}",
            f"{row.first:.2f}",
            f"{row.memory / 1e6:.0f}",
            f"{row.agreement:.3%}",
        )
    return result
