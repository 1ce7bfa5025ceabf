import json
from pathlib import Path

import pytest

from groupvit.config import to_values
from groupvit.errors import InputError
from groupvit.training import recipes
from groupvit.training.config import TrainingConfig

CONFIGS = Path(__file__).parents[2] / "configs"
FROZEN = json.loads((Path(__file__).parent / "settings_of_configs.json").read_text("utf-8"))
"""Every setting of every file in configs/, as it was when the files listed them one by one."""


@pytest.fixture
def file(tmp_path):
    """Writes a settings file."""

    def file(text):
        path = tmp_path / "some.toml"
        path.write_text(text)
        return path

    return file


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_settings_of_a_config_are_those_of_its_measurements(path):
    values = json.loads(json.dumps(to_values(recipes.load(path).settings)))
    assert values == FROZEN[path.stem]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("flickr8k", 5),
        ("storybook-quick", 16),
        ("storybook", 21),
        ("paper", 15),
        ("photos", 12),
        ("lseg", 15),
    ],
)
def test_a_config_lists_only_what_differs(name, lines):
    text = (CONFIGS / f"{name}.toml").read_text("utf-8")
    assert len([line for line in text.splitlines() if line and line[0] != "#"]) <= lines


def test_the_defaults_are_the_recipe_paper():
    assert recipes.load() == ("paper", TrainingConfig())
    assert recipes.load(recipe="paper") == recipes.load()


def test_a_file_changes_single_settings_of_its_recipe(file):
    base = recipes.LEVELS
    name, settings = recipes.load(file("recipe = 'levels'\nsteps = 7000\noptim.lr = 2e-3"))
    assert name == "levels"
    assert (settings.steps, settings.optim.lr) == (7000, 2e-3)
    assert settings.optim.beta2 == base.optim.beta2 == 0.98
    assert settings.model == base.model
    assert recipes.load(file("steps = 20_000")).settings == TrainingConfig(steps=20_000)


def test_a_recipe_may_be_chosen_for_a_file_that_names_none(file):
    steps = file("steps = 7000")
    assert recipes.load(steps, recipe="levels") == recipes.load(
        file("recipe = 'levels'\nsteps = 7000")
    )


def test_stages_are_replaced_as_a_whole(file):
    text = "recipe = 'levels'\n[model.image]\nstages = [{ depth = 2 }]"
    assert len(recipes.load(file(text)).settings.model.image.stages) == 1


@pytest.mark.parametrize("text", ["recipe = 'level'", "recipe = 3", "recipe = ['levels']"])
def test_an_unknown_recipe_is_named_with_those_that_are_known(file, text):
    with pytest.raises(InputError, match=r"some.toml: there is no recipe .*; known are levels, ph"):
        recipes.load(file(text))
    with pytest.raises(
        InputError, match=r"^there is no recipe 'mine'; known are levels, photos, paper"
    ):
        recipes.load(recipe="mine")


def test_a_file_of_another_recipe_is_refused(file):
    path = file("recipe = 'levels'")
    assert recipes.load(path, recipe="levels").recipe == "levels"
    with pytest.raises(InputError, match=r"--recipe is paper, but .*some.toml .* from 'levels'"):
        recipes.load(path, recipe="paper")


def test_a_mistake_in_a_file_is_named_by_its_place(file):
    with pytest.raises(InputError, match=r"some.toml: optim: unknown setting rate"):
        recipes.load(file("recipe = 'levels'\noptim.rate = 1"))
