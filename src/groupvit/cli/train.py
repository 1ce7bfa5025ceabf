"""`groupvit train`: a training run, described by a recipe, a settings file and options."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import tyro

from groupvit.cli.options import Flag
from groupvit.cli.settings import RecipeName, SettingsFile, given, page
from groupvit.config import shown_default
from groupvit.training.config import TrainingConfig

SUMMARY = """\
Train a model on images with captions or masks (--data.masks). The same
command resumes a run. GPUs: torchrun --nproc-per-node 8 -m groupvit train ..."""
Names = Annotated[
    tuple[str, ...], tyro.conf.arg(metavar="NAME ...", help_behavior_hint=shown_default)
]


def command(arguments: Sequence[str]) -> Callable[..., int]:
    """The command; its options default to the values of the recipe and the settings file.

    Args:
        arguments: Arguments of `groupvit train`.

    Raises:
        InputError: The recipe is unknown, or the settings file cannot be read or does not fit.
    """
    found = given(arguments)
    if {"-h", "--help"} & set(arguments):
        own = {
            "--changed NAME ...": "settings that may differ from the run's: optim.lr",
            "--fresh": "delete the run in --out, and start anew",
        }
        sys.stdout.write(page("train", SUMMARY, found, own=own))
        raise SystemExit(0)

    def train(
        settings: SettingsFile = found.file,
        /,
        config: Annotated[TrainingConfig, tyro.conf.arg(name="")] = found.run.settings,
        *,
        recipe: RecipeName = found.run.recipe,  # noqa: ARG001 - it is read before, by given()
        image_size: int = found.run.settings.image_size,
        changed: Names = (),
        fresh: Flag = False,
    ) -> int:
        """Train a model on images with captions or masks.

        The same command resumes an interrupted run. On several GPUs, put
        torchrun --nproc-per-node 8 -m in front of it. Paths, those in the file too, are relative
        to the working directory.

        Args:
            settings: A TOML file of what differs from its recipe. It stands before all options,
                which change single settings and show the values of recipe and file.
            config: The settings.
            recipe: Recipe to begin with, in place of a file, or for a file that names none;
                groupvit recipes lists them.
            image_size: Height and width of images, for data and model [pixels].
            changed: Settings, such as data.shards and optim.lr, or tables of settings that may
                differ from those of the run in --out; the change is recorded in its config.json.
            fresh: Delete the run in --out, and start anew.
        """
        from groupvit.training.trainer import train as run

        chosen = found.settings(settings, config, image_size)
        return run(chosen, fresh=fresh, changed=changed)

    return train
