"""`groupvit plan`: time, memory and data rate of a training run."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from groupvit.cli.plan_segment import plan_segment
from groupvit.cli.settings import RecipeName, SettingsFile, given, page
from groupvit.errors import InputError
from groupvit.training.accelerators import ACCELERATORS, EFFICIENCY, LINK
from groupvit.training.config import TrainingConfig

if TYPE_CHECKING:
    from groupvit.training.planning import Plan

Kind = Literal["here", "v100", "a100", "h100", "h200", "l4", "l40s", "rtx4090"]
HOUR = 3600
SUMMARY = """\
Estimate how long a training run takes, and what memory and data rate it needs.
A few pairs go through a real step on this machine. Nothing is written."""
COUNTED = ("data.shards", "steps", "data.batch_size", "image_size", "precision", "device")
OWN = {
    "--segment": "estimate segmentation instead (--segment --help)",
    "--devices INT": "number of accelerators (default: 1)",
    "--kind KIND": "here (timed), v100, a100, h100, h200, l4, l40s, rtx4090",
    "--efficiency FLOAT": f"share of its peak FLOP/s (default: {EFFICIENCY})",
    "--link FLOAT": f"speed between them [10^9 bytes/s] (default: {LINK})",
}


def command(arguments: Sequence[str]) -> Callable[..., int]:
    """The command; its options default to the values of the recipe and the settings file.

    Args:
        arguments: Arguments of `groupvit plan`.

    Raises:
        InputError: The recipe is unknown, or the settings file cannot be read or does not fit.
    """
    if "--segment" in arguments:
        return plan_segment
    found = given(arguments)
    if {"-h", "--help"} & set(arguments):
        sys.stdout.write(page("plan", SUMMARY, found, settings=COUNTED, own=OWN))
        raise SystemExit(0)

    def plan(
        settings: SettingsFile = found.file,
        /,
        config: Annotated[TrainingConfig, tyro.conf.arg(name="")] = found.run.settings,
        *,
        recipe: RecipeName = found.run.recipe,  # noqa: ARG001 - it is read before, by given()
        image_size: int = found.run.settings.image_size,
        devices: int = 1,
        kind: Kind = "here",
        efficiency: float = EFFICIENCY,
        link: float = LINK,
    ) -> int:
        """Estimate how long a training run takes, and what memory and data rate it needs.

        A few pairs go through a real step on this machine, to count its operations. Nothing is
        written.

        Args:
            settings: The settings file of the run. It stands before all options, which change
                single settings and show the values of recipe and file.
            config: The settings.
            recipe: Recipe to begin with, in place of a file, or for a file that names none;
                groupvit recipes lists them.
            image_size: Height and width of images, for data and model [pixels].
            devices: Number of devices that train together; batch_size counts for each.
            kind: Their kind; here: this machine, whose steps are timed.
            efficiency: Share of its peak FLOP/s that a device reaches, if its kind is not here.
            link: Speed between devices [10^9 bytes/s].
        """
        from groupvit.training import planning

        config = found.settings(settings, config, image_size)
        _check(devices, kind, efficiency, link)
        console = Console(highlight=False)
        device = ACCELERATORS.get(kind)
        with console.status("counting the operations of a step"):
            result = planning.plan(
                config, device, devices=devices, efficiency=efficiency, link=link
            )
        basis = "timed on this machine"
        if device is not None:
            peak = device.peak(config.precision) / 1e12
            basis = f"at {efficiency:.0%} of the {peak:.0f} TFLOP/s of {kind} in {config.precision}"
        console.print(_table(result, basis, None if device is None else device.memory))
        if result.data.missing:
            console.print(
                f"[yellow]captions are taken to have {planning.CAPTION} tokens and prompts "
                f"{planning.PROMPT}, as there are no shards:[/] {escape(result.data.missing)}"
            )
        return 0

    return plan


def _check(devices: int, kind: str, efficiency: float, link: float) -> None:
    if devices < 1:
        raise InputError(f"--devices is {devices}; give at least 1")
    if devices > 1 and kind == "here":
        raise InputError("--devices counts accelerators; give their --kind too, such as h200")
    if not 0 < efficiency <= 1:
        raise InputError(f"--efficiency is {efficiency}; give a share above 0 and at most 1")
    if not 0 < link < float("inf"):
        raise InputError(f"--link is {link}; give a speed above 0")


def _table(plan: "Plan", basis: str, memory: float | None) -> Table:
    """The plan as a table; time comes first."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    for row in [*_time(plan, basis), *_memory(plan, memory), *_data(plan)]:
        table.add_row(*row)
    return table


def _time(plan: "Plan", basis: str) -> Iterator[tuple[str, str]]:
    pairs = plan.work.pairs * plan.devices
    whole = f", {plan.seconds * plan.devices / HOUR:,.0f} device hours" if plan.devices > 1 else ""
    yield "the run", f"[bold]{_duration(plan.seconds)}[/]{whole}"
    seen = f"{plan.steps:,} steps of {pairs:,} pairs"
    if plan.data.num_pairs:
        seen += (
            f", {plan.steps * pairs / plan.data.num_pairs:,.1f} times all {plan.data.num_pairs:,}"
        )
    yield "", seen
    yield "a step", f"{_duration(plan.step)}, {basis}"
    if plan.devices > 1:
        yield "", f"and {_duration(plan.exchange)} of exchange, if none of it is hidden"
    each = plan.work.operations / plan.work.pairs
    yield "operations", f"{each / 1e9:.1f} GFLOP a pair, forward and backward"


def _memory(plan: "Plan", available: float | None) -> Iterator[tuple[str, str]]:
    work, needed = plan.work, plan.work.memory(plan.devices)
    fits = ""
    if available is not None:
        fits = f" of {_size(available)}"
        if needed > available:
            fits += "  [red]too much: lower data.batch-size, or set chunk[/]"
    yield "memory", f"[bold]{_size(needed)}[/]{fits} for each device"
    parts = {
        "weights and optimizer": work.weights,
        "activations": work.activations,
        "encodings of the batch": work.encodings,
        "exchange": needed - work.weights - work.activations - work.encodings,
    }
    yield "", ", ".join(f"{name} {_size(size)}" for name, size in parts.items() if size)


def _data(plan: "Plan") -> Iterator[tuple[str, str]]:
    data, rate = plan.data, plan.rate
    size = "" if data.size is None else f", {_size(rate * data.size)}/s from the shards"
    yield "data", f"[bold]{rate:,.0f} pairs/s[/]{size}"
    if data.stored is not None:
        yield "", f"features stored before the first step: {_size(data.stored)}"
    if data.seconds is not None:
        yield "", f"{rate * data.seconds:.2g} cores like this one's to decode them"


def _duration(seconds: float) -> str:
    """A duration in the largest unit that fits."""
    for unit, length in {"days": 24 * HOUR, "hours": HOUR, "minutes": 60, "s": 1}.items():
        if seconds >= (2 if unit == "days" else 1) * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{1000 * seconds:.1f} ms"


def _size(size: float) -> str:
    """A number of bytes in the largest unit that fits."""
    for unit, length in {"GB": 1e9, "MB": 1e6}.items():
        if size >= length:
            return f"{size / length:.1f} {unit}"
    return f"{size / 1e3:.1f} kB"
