import json
import re
from dataclasses import replace

import pytest

from groupvit.training.recipes import LEVELS, RECIPES
from tests.data.pairs import write_shards
from tests.training.conftest import SETTINGS


@pytest.fixture
def settings(tmp_path):
    """A settings file of a run that takes a moment."""
    shards = write_shards(tmp_path / "shards", 9)
    path = tmp_path / "tiny.toml"
    path.write_text(SETTINGS.format(out=tmp_path / "run", shards=shards))
    return path


def written(tmp_path):
    return json.loads((tmp_path / "run" / "config.json").read_text())["settings"]


def test_a_run_is_trained_and_its_model_segments(run, settings, photos, tmp_path):
    code, printed, complaint = run("train", settings, "--steps", "3")
    assert (code, complaint) == (0, "")
    assert "step 3/3, loss " in printed
    assert f"--model {tmp_path / 'run'}" in printed
    out = tmp_path / "out"
    words = ("--labels", "dog", "cat", "--model", tmp_path / "run")
    assert run("segment", photos / "dog.jpg", *words, "--out", out)[0] == 0


def test_options_change_single_settings_of_the_file(run, settings, tmp_path):
    options = ("--optim.lr", "5e-3", "--steps", "2", "--data.batch-size", "3", "--freeze", "text")
    assert run("train", settings, *options)[0] == 0
    values = written(tmp_path)
    assert (values["optim"]["lr"], values["steps"], values["freeze"]) == (5e-3, 2, ["text"])
    assert (values["data"]["batch_size"], values["model"]["image"]["image_size"]) == (3, 16)


def test_sources_with_weights_stand_in_the_file(run, settings, tmp_path):
    text = settings.read_text()
    (shards,) = (line for line in text.splitlines() if line.startswith("shards = "))
    sources = f"\n[[data.sources]]\n{shards}\nweight = 3\n[[data.sources]]\n{shards}\n"
    settings.write_text(text + sources)
    code, _, complaint = run("train", settings, "--steps", "2")
    assert code == 2
    assert "data.shards and data.sources are both given" in complaint
    settings.write_text(text.replace(shards, "") + sources)
    assert run("train", settings, "--steps", "2")[0] == 0
    assert [one["weight"] for one in written(tmp_path)["data"]["sources"]] == [3.0, 1.0]


def test_the_same_command_goes_on_and_fresh_begins_anew(run, settings, tmp_path):
    run("train", settings, "--steps", "3")
    assert "resumes after step 3 of 4" in run("train", settings, "--steps", "4")[1]
    code, _, complaint = run("train", settings, "--seed", "9")
    assert code == 2
    assert "seed was 3 and is 9; choose another --out, or pass --fresh" in complaint
    assert run("train", settings, "--seed", "9", "--fresh")[0] == 0
    assert written(tmp_path)["seed"] == 9


def test_settings_named_by_changed_may_differ(run, settings, tmp_path):
    run("train", settings, "--steps", "3")
    other = ("train", settings, "--steps", "4", "--optim.lr", "5e-3")
    assert "or resume with --changed optim.lr" in run(*other)[2]
    assert "no setting 'lr'" in run(*other, "--changed", "lr")[2]
    assert "resumes after step 3 of 4" in run(*other, "--changed", "data.shards", "optim.lr")[1]
    assert written(tmp_path)["optim"]["lr"] == 5e-3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps = ", "tiny.toml is no TOML: Invalid value"),
        ("stepps = 1", "tiny.toml: unknown setting stepps"),
        ("[optim]\nlr = -1.0", "tiny.toml: optim: lr is -1.0; it must be above 0"),
        ("device = 'abacus'", "the device 'abacus' cannot be used here"),
        ("[data]\nshards = ['none.tar']", "none.tar"),
        ("start = 'groupvit-large'", "there is no model 'groupvit-large'"),
        ("evaluate_folder = 'none'", "none"),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence(run, settings, tmp_path, monkeypatch, text, says):
    monkeypatch.chdir(tmp_path)  # where the default folder of a run would lie
    given = settings.read_text()
    name = text.split(" ")[0]
    kept = [line for line in given.splitlines() if not line.startswith(f"{name} ")]
    settings.write_text("\n".join([text, *kept]) if text[0] != "[" else text)
    code, _, complaint = run("train", settings)
    assert (code, complaint.count("\n")) == (2, 1)
    assert says in complaint
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "runs").exists()


def test_a_refused_run_leaves_the_folder_that_was_there(run, settings, tmp_path):
    (tmp_path / "run").mkdir()
    assert run("train", settings, "--start", "groupvit-large")[0] == 2
    assert (tmp_path / "run").is_dir()
    out = tmp_path / "new" / "run"
    assert run("train", settings, "--start", "groupvit-large", "--out", out)[0] == 2
    assert not (tmp_path / "new").exists()


def test_a_missing_file_is_named(run):
    code, _, complaint = run("train", "none.toml")
    assert (code, complaint) == (
        2,
        "groupvit: there is no settings file none.toml; give a TOML file\n",
    )


def test_the_file_stands_before_the_options(run, settings):
    code, _, complaint = run("train", "--seed", "3", settings)
    assert code == 2
    assert "before all options" in complaint


def test_an_option_that_does_not_fit_is_refused(run, settings, capsys):
    code, _, complaint = run("train", settings, "--steps", "-3")
    assert (code, complaint) == (2, "groupvit: steps is -3; it must be at least 1\n")
    with pytest.raises(SystemExit) as stop:
        run("train", settings, "--optim.lr", "-3")
    assert stop.value.code == 2
    assert "lr is -3.0" in capsys.readouterr().err


def test_help_shows_the_values_of_the_file_and_no_architecture(run, settings, capsys):
    with pytest.raises(SystemExit) as stop:
        run("train", settings, "--help")
    assert stop.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "usage: groupvit train" in shown
    assert "(default: 0.01)" in shown
    assert "--model" not in shown


def test_options_change_the_file_and_the_file_its_recipe(settings, monkeypatch, run):
    seen = []

    def train(config, *, fresh, changed):
        assert not fresh
        assert changed == ()
        seen.append(config)
        return 0

    monkeypatch.setattr("groupvit.training.trainer.train", train)
    settings.write_text("recipe = 'levels'\nsteps = 4000\noptim.lr = 2e-3")
    assert run("train", settings, "--optim.lr", "3e-3", "--image-size", "160")[0] == 0
    assert run("train", "--recipe", "levels", "--data.shards", "a.tar", "b.tar")[0] == 0
    first, second = seen
    assert (first.optim.lr, first.steps, first.optim.beta2) == (3e-3, 4000, 0.98)
    assert first.image_size == first.model.image.image_size == 160
    assert second == replace(LEVELS, data=replace(LEVELS.data, shards=("a.tar", "b.tar")))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "give a settings file or --recipe; known recipes are levels, photos, paper"),
        (("--recipe", "mine"), "there is no recipe 'mine'; known are levels, photos, paper"),
        (("--recipe=levels", "--image-size", "100"), "no multiple of patch_size 8"),
    ],
)
def test_a_mistake_in_a_recipe_is_one_sentence(run, options, says):
    code, _, complaint = run("train", *options)
    assert (code, complaint.count("\n")) == (2, 1)
    assert says in complaint


def test_a_file_of_another_recipe_is_refused(run, settings):
    settings.write_text("recipe = 'levels'")
    assert "--recipe is paper, but" in run("train", settings, "--recipe", "paper")[2]


@pytest.mark.parametrize("command", ["train", "plan"])
def test_help_fits_a_screen_and_leaves_the_rest_to_help_all(run, command, capsys):
    with pytest.raises(SystemExit):
        run(command, "--help")
    page = capsys.readouterr().out.splitlines()
    assert len(page) < 24
    assert max(map(len, page)) <= 80
    with pytest.raises(SystemExit):
        run(command, "--recipe", "levels", "--help-all")
    whole = " ".join(capsys.readouterr().out.replace("│", " ").split())
    shown = {word for line in page for word in line.split() if re.fullmatch(r"--[\w.-]+", word)}
    assert len(shown) > (14 if command == "train" else 10)
    for option in shown - {"--help-all", "--nproc-per-node", "--segment"}:
        assert option in whole
    assert "--optim.beta2" in whole
    assert "(default: 0.98)" in whole
    assert "(default: )" not in whole
    assert "{None}" not in whole


def test_recipes_are_listed_with_what_they_reached(run):
    code, printed, _ = run("recipes")
    assert code == 0
    for name, recipe in RECIPES.items():
        assert f"{name}  {recipe.summary}" in printed
        for line in (*recipe.cost, *recipe.reached):
            assert line in printed
