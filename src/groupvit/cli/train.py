"""`groupvit train`: a training run, described by a settings file and options that change it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from groupvit.cli.options import Flag
from groupvit.errors import InputError

if TYPE_CHECKING:
    from groupvit.training.config import TrainingConfig

Settings = tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="SETTINGS.toml")]]


def settings_among(arguments: Sequence[str]) -> tuple[Path | None, "TrainingConfig"]:
    """The settings file that stands before all options, and what it holds; defaults without one.

    Raises:
        InputError: The settings file cannot be read, or holds settings that do not fit.
    """
    from groupvit.config import load_toml
    from groupvit.training.config import TrainingConfig

    if not arguments or arguments[0].startswith("-"):
        return None, TrainingConfig()
    file = Path(arguments[0])
    return file, load_toml(TrainingConfig, file)


def command(arguments: Sequence[str]) -> Callable[..., int]:
    """The command, with options that default to what the settings file among the arguments holds.

    The file must therefore be known before the options are parsed: it is the first argument.

    Args:
        arguments: What stands behind `groupvit train`.

    Raises:
        InputError: The settings file cannot be read, or holds settings that do not fit.
    """
    from groupvit.training.config import TrainingConfig

    file, default = settings_among(arguments)

    def train(
        settings: Settings,
        /,
        config: Annotated[TrainingConfig, tyro.conf.arg(name="")] = default,
        *,
        fresh: Flag = False,
    ) -> int:
        """Train a model from images with captions.

        The same command goes on with a run that was stopped. On several GPUs, put
        torchrun --nproc-per-node 8 -m in front of it. Paths, those in the file too, are relative
        to the folder that the command runs in.

        Args:
            settings: A TOML file that says what differs from the defaults; it stands before all
                options, which change single settings of it and show its values.
            config: The settings.
            fresh: Delete the run that lies in --out, and begin anew.
        """
        if settings != file:
            raise InputError(f"give the settings file {settings} before all options")
        from groupvit.training.trainer import train as run

        return run(config, fresh=fresh)

    return train
