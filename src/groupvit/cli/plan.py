"""`groupvit plan`: what a training run will take."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from groupvit.cli.train import Settings, settings_among
from groupvit.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from groupvit.training.planning import Plan

Kind = Literal["here", "v100", "a100", "h100", "h200", "l4", "l40s", "rtx4090"]
HOUR = 3600


def command(arguments: Sequence[str]) -> Callable[..., int]:
    """The command, with options that default to what the settings file among the arguments holds.

    Args:
        arguments: What stands behind `groupvit plan`.

    Raises:
        InputError: The settings file cannot be read, or holds settings that do not fit.
    """
    from groupvit.training.accelerators import EFFICIENCY, LINK
    from groupvit.training.config import TrainingConfig

    file, default = settings_among(arguments)

    def plan(
        settings: Settings,
        /,
        config: Annotated[TrainingConfig, tyro.conf.arg(name="")] = default,
        *,
        devices: int = 1,
        kind: Kind = "here",
        efficiency: float = EFFICIENCY,
        link: float = LINK,
    ) -> int:
        """Tell how long a training run will take, and what memory and data rate it needs.

        A few pairs go through a real step on this machine, to count what it consists of. Nothing
        is written.

        Args:
            settings: The TOML file of the run; it stands before all options, which change single
                settings of it.
            config: The settings.
            devices: How many train together; batch_size counts for each.
            kind: What they are; here: this machine, whose steps are timed.
            efficiency: Share of its peak that a device is taken to reach, where it is not here.
            link: Speed between devices [10^9 bytes/s].
        """
        from rich.console import Console
        from rich.markup import escape

        from groupvit.training import planning
        from groupvit.training.accelerators import ACCELERATORS

        if settings != file:
            raise InputError(f"give the settings file {settings} before all options")
        _check(devices, kind, efficiency, link)
        console = Console(highlight=False)
        with console.status("a few steps are counted"):
            found = planning.plan(
                config, ACCELERATORS.get(kind), devices=devices, efficiency=efficiency, link=link
            )
        device = ACCELERATORS.get(kind)
        told = "timed on this machine"
        if device is not None:
            peak = device.peak(config.precision) / 1e12
            told = f"at {efficiency:.0%} of the {peak:.0f} TFLOP/s of {kind} in {config.precision}"
        console.print(_table(found, told, None if device is None else device.memory))
        if found.data.missing:
            console.print(
                f"[yellow]captions are taken to have {planning.CAPTION} tokens and prompts "
                f"{planning.PROMPT}, as there are no shards:[/] {escape(found.data.missing)}"
            )
        return 0

    return plan


def _check(devices: int, kind: str, efficiency: float, link: float) -> None:
    if devices < 1:
        raise InputError(f"--devices is {devices}; give at least 1")
    if devices > 1 and kind == "here":
        raise InputError("--devices counts accelerators; say which with --kind, such as h200")
    if not 0 < efficiency <= 1:
        raise InputError(f"--efficiency is {efficiency}; give a share above 0 and at most 1")
    if not 0 < link < float("inf"):
        raise InputError(f"--link is {link}; give a speed above 0")


def _table(plan: "Plan", told: str, memory: float | None) -> "Table":
    """The plan for people, what they ask first at the top."""
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2))
    for row in [*_time(plan, told), *_memory(plan, memory), *_data(plan)]:
        table.add_row(*row)
    return table


def _time(plan: "Plan", told: str) -> Iterator[tuple[str, str]]:
    pairs = plan.work.pairs * plan.devices
    whole = f", {plan.seconds * plan.devices / HOUR:,.0f} device hours" if plan.devices > 1 else ""
    yield "the run", f"[bold]{_duration(plan.seconds)}[/]{whole}"
    seen = f"{plan.steps:,} steps of {pairs:,} pairs"
    if plan.data.num_pairs:
        seen += (
            f", {plan.steps * pairs / plan.data.num_pairs:,.1f} times all {plan.data.num_pairs:,}"
        )
    yield "", seen
    yield "a step", f"{_duration(plan.step)}, {told}"
    if plan.devices > 1:
        yield "", f"and {_duration(plan.exchange)} of exchange, if none of it is hidden"
    each = plan.work.operations / plan.work.pairs
    yield "operations", f"{each / 1e9:.1f} GFLOP a pair, forward and backward"


def _memory(plan: "Plan", most: float | None) -> Iterator[tuple[str, str]]:
    work, needed = plan.work, plan.work.memory(plan.devices)
    fits = ""
    if most is not None:
        fits = f" of {_size(most)}"
        if needed > most:
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
    if data.seconds is not None:
        yield "", f"{rate * data.seconds:.2g} cores like this one's to decode them"


def _duration(seconds: float) -> str:
    """In the unit that people would take."""
    for unit, length in {"days": 24 * HOUR, "hours": HOUR, "minutes": 60, "s": 1}.items():
        if seconds >= (2 if unit == "days" else 1) * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{1000 * seconds:.1f} ms"


def _size(size: float) -> str:
    """Bytes."""
    for unit, length in {"GB": 1e9, "MB": 1e6}.items():
        if size >= length:
            return f"{size / length:.1f} {unit}"
    return f"{size / 1e3:.1f} kB"
