"""Settings of a training run on the command line: a recipe, changed by a file, then by options.

The options show and change the values of the recipe and the file, so these are read first: the file
is the first argument, and `--recipe` is searched among the others.
"""

import argparse
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Annotated, NamedTuple

import tyro

from groupvit.config import from_values
from groupvit.errors import InputError
from groupvit.training import recipes
from groupvit.training.config import TrainingConfig

SettingsFile = tyro.conf.Positional[
    Annotated[
        Path | None, tyro.conf.arg(metavar="[SETTINGS.toml]", help_behavior_hint="(or --recipe)")
    ]
]
RecipeName = Annotated[str, tyro.conf.arg(metavar="NAME")]
SHOWN = {
    "data.shards": ("PATTERN ...", 'tar shards: "pairs/train-{000000..000041}.tar"'),
    "out": ("FOLDER", "run folder"),
    "start": ("MODEL", "initial model, instead of random weights"),
    "steps": ("INT", "optimizer steps"),
    "data.batch_size": ("INT", "pairs of a step, for each process"),
    "image_size": ("INT", "height and width of images [pixels]"),
    "optim.lr": ("FLOAT", "highest learning rate"),
    "optim.warmup_steps": ("INT", "steps until it is reached"),
    "data.num_workers": ("INT", "processes that load data"),
    "precision": ("TYPE", "float32 or bfloat16"),
    "device": ("DEVICE", "auto, cpu, cuda or mps"),
    "seed": ("INT", "seed of weights, order and augmentation"),
}
"""The settings that `groupvit train --help` shows, with metavar and help."""
PAGE = """\
usage: groupvit {command} [SETTINGS.toml] [OPTIONS]

{summary}

{rows}

groupvit {command} --help-all lists all settings, groupvit recipes the recipes.
"""


class Given(NamedTuple):
    """File and recipe in the arguments, read before the options are parsed."""

    file: Path | None
    recipe: str | None
    run: recipes.Run

    def settings(
        self, file: Path | None, config: TrainingConfig, image_size: int
    ) -> TrainingConfig:
        """The settings of the run, from the parsed arguments.

        Raises:
            InputError: The settings file is not the first argument, neither file nor recipe is
                given, or the image size does not fit the model.
        """
        if file != self.file:
            raise InputError(f"give the settings file {file} before all options")
        if self.file is None and self.recipe is None:
            raise InputError(
                f"give a settings file or --recipe; known recipes are {', '.join(recipes.RECIPES)}"
            )
        changed = {"model": {"image": {"image_size": image_size}}}
        return from_values(TrainingConfig, changed, where="--image-size", base=config)


def given(arguments: Sequence[str]) -> Given:
    """The settings that the options of `groupvit train` and `plan` default to.

    Raises:
        InputError: The recipe is unknown, or the settings file cannot be read or does not fit.
    """
    file = Path(arguments[0]) if arguments and not arguments[0].startswith("-") else None
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--recipe", nargs="?")
    recipe = parser.parse_known_args(arguments)[0].recipe
    return Given(file, recipe, recipes.load(file, recipe=recipe))


def page(
    command: str,
    summary: str,
    found: Given,
    *,
    settings: Iterable[str] = tuple(SHOWN),
    own: Mapping[str, str],
) -> str:
    """The help page of a command that takes the settings of a run; it fits a screen of 24 x 80.

    Args:
        command: The command.
        summary: Its description.
        found: The settings, whose values the page shows as defaults.
        settings: Those of `SHOWN` that matter to the command.
        own: Help of the command's own options.
    """
    rows = {
        "SETTINGS.toml": "settings file, as the first argument",
        "--recipe NAME": f"recipe that the file changes (default: {found.run.recipe})",
    }
    for setting in settings:
        metavar, text = SHOWN[setting]
        value = attrgetter(setting)(found.run.settings)
        shown = " ".join(value) if isinstance(value, tuple) else value
        default = "" if shown == "" else f" (default: {shown})"
        rows[f"--{setting.replace('_', '-')} {metavar}"] = text + default
    return PAGE.format(command=command, summary=summary, rows=_table({**rows, **own}))


def _table(rows: Mapping[str, str]) -> str:
    lines = []
    for name, text in rows.items():
        filled = textwrap.fill(text, 52, break_on_hyphens=False, break_long_words=False)
        lines.append(f"  {name:26}" + textwrap.indent(filled, " " * 28).lstrip())
    return "\n".join(lines)
