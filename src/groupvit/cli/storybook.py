"""`groupvit storybook`: a drawn world to learn segmentation from captions, and to measure it."""

from pathlib import Path

from groupvit.cli.options import Flag


def storybook(
    *,
    out: Path,
    num: int = 20_000,
    size: int = 80,
    seed: int = 0,
    test: int = 500,
    shard_size: int = 5000,
    workers: int | None = None,
    overwrite: Flag = False,
) -> int:
    """Draw captioned images to train on, and a benchmark with masks.

    Args:
        out: Folder to write: pairs/ with tar shards of images and captions, test/ with images/,
            masks/ and classes.txt, and sheet.png with some of the scenes.
        num: Images with captions.
        size: Height and width of images, 16 to 512 [pixels].
        seed: Another seed draws another storybook.
        test: Images of the benchmark; none of them is among the others.
        shard_size: Images in a tar file.
        workers: Processes that draw; else one for each core. The files are the same.
        overwrite: Replace what an earlier run wrote.
    """
    import time

    from rich.console import Console

    from groupvit.progress import bar
    from groupvit.storybook.workers import write
    from groupvit.storybook.writing import Storybook

    book = Storybook(num=num, size=size, seed=seed, num_test=test, shard_size=shard_size)
    errors, start = Console(stderr=True), time.perf_counter()
    with bar("images", errors) as progress:
        task = progress.add_task("drawing", total=num + test)
        shares = write(
            out,
            book,
            workers=workers,
            overwrite=overwrite,
            on_progress=lambda done: progress.update(task, completed=done),
        )
    _report(out, shares, with_test=test > 0)
    Console(highlight=False).print(f"{num + test:,} images, {_rate(num + test, start)}")
    return 0


def _rate(done: int, start: float) -> str:
    import time

    return f"{done / (time.perf_counter() - start):,.0f} images/s"


def _report(out: Path, shares: dict[str, float], *, with_test: bool) -> None:
    """The share of images with each class, and where everything lies."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title="images that show it", box=box.SIMPLE, title_justify="left")
    rows = -(-len(shares) // 3)
    cells = [(name, f"{share:.1%}") for name, share in shares.items()]
    for _ in range(3):
        table.add_column("class")
        table.add_column("share", justify="right")
    for row in range(rows):
        table.add_row(*(text for cell in cells[row::rows] for text in cell))
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print(f"images and captions: {out / 'pairs'}", markup=False)
    if with_test:
        console.print(f"benchmark with masks: {out / 'test'}", markup=False)
    console.print(f"contact sheet: {out / 'sheet.png'}", markup=False)
