"""`groupvit plan --segment`: time, money and bytes of the segmentation of many images."""

from typing import TYPE_CHECKING, Annotated

import tyro

from groupvit.cli.options import Flag, Images, ModelOptions, Words
from groupvit.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from groupvit.bulk.planning import Rate

NUMBERS = (10**6, 10**7, 10**8, 10**9)
HOUR = 3600


def plan_segment(
    images: Images,
    /,
    options: Annotated[ModelOptions, tyro.conf.arg(name="")],
    *,
    labels: Words,
    segment: Flag = False,  # noqa: ARG001 - it is read before, by command()
    number: int = 16,
    workers: int = 1,
    price: float = 0.0,
) -> int:
    """Estimate time, money and bytes of the segmentation of 10^6 to 10^9 images.

    A few images are segmented on this machine. Nothing is written.

    Args:
        images: Images, folders or shards, as groupvit segment takes them.
        options: Model and image settings.
        labels: Labels to assign.
        segment: This estimate instead of that of a training.
        number: Images that are measured.
        workers: Workers like this one, each with a device of its own.
        price: Price of a worker for an hour, in any currency; 0 shows none.
    """
    from rich.console import Console

    from groupvit.bulk import planning, shards

    if number < 1 or workers < 1:
        raise InputError("--number and --workers are at least 1")
    if price < 0:
        raise InputError(f"--price is {price}; give 0 or more")
    console = Console(highlight=False, soft_wrap=True)
    found = shards.find(images, shard_size=1000)
    segmenter = options.segmenter()
    with console.status("measuring"):
        rate = planning.measure(segmenter, found.shards, labels, background=None, number=number)
    console.print(
        f"{rate.images:.2f} images/s of one worker on {segmenter.device}, measured; "
        f"{rate.read / 1e3:.1f} kB read and {rate.written / 1e3:.1f} kB written for each"
    )
    console.print(_table(rate, workers, price))
    return 0


def _table(rate: "Rate", workers: int, price: float) -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 1))
    money = ["money"] if price else []
    for name in ("images", "worker hours", f"days of {workers:,}", *money, "read", "results"):
        table.add_column(name, justify="right", no_wrap=True)
    for count in NUMBERS:
        hours = count / rate.images / HOUR
        cost = [f"{hours * price:,.0f}"] if price else []
        sizes = (_size(count * rate.read), _size(count * rate.written))
        table.add_row(f"{count:,}", f"{hours:,.0f}", f"{hours / 24 / workers:,.1f}", *cost, *sizes)
    table.caption = (
        f"{workers:,} workers read {_size(workers * rate.images * rate.read)}/s and write "
        f"{_size(workers * rate.images * rate.written)}/s"
    )
    return table


def _size(size: float) -> str:
    for unit, length in {"TB": 1e12, "GB": 1e9, "MB": 1e6}.items():
        if size >= length:
            return f"{size / length:,.1f} {unit}"
    return f"{size / 1e3:,.1f} kB"
