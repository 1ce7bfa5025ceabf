import subprocess
import sys

import pytest
import torch

from groupvit.cli import COMMANDS
from groupvit.weights import catalogue
from tests.lively import size_of


def test_help_does_not_wait_for_torch():
    code = (
        "import sys, groupvit.cli\n"
        "try: groupvit.cli.main(['segment', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(run, capsys, command):
    with pytest.raises(SystemExit) as stop:
        run(command, "--help")
    assert stop.value.code == 0
    assert f"usage: groupvit {command}" in capsys.readouterr().out


def test_groups_are_shown_with_and_without_words(run, model, photos, tmp_path):
    assert run("groups", photos, "--model", model, "--out", tmp_path / "plain")[0] == 0
    words = ("--labels", "dog", "cat")
    assert run("groups", photos, *words, "--model", model, "--out", tmp_path / "named")[0] == 0
    for folder in ("plain", "named"):
        assert min(size_of(tmp_path / folder / "trip" / "boat.groups.png")) > 100


def test_info_tells_architecture_parameters_and_origin(run, model):
    code, printed, _ = run("info", model)
    assert code == 0
    printed = " ".join(printed.split())
    for part in ("a test", "12 group tokens, 12 groups", "blocks of width 32", "parameters, all"):
        assert part in printed


def test_info_says_when_a_model_is_untrained(run):
    assert "untrained" in run("info", "random")[1]


def test_a_model_goes_to_hugging_face_and_back(run, model, tmp_path):
    there, back = tmp_path / "there", tmp_path / "back"
    code, printed, _ = run("convert", model, there, "--to", "huggingface")
    assert code == 0
    assert "left out, as that layout has no place for it: multi_label_log_scale" in printed
    assert run("convert", there, back)[0] == 0
    first, second = (
        catalogue.load(model).model.state_dict(),
        catalogue.load(back).model.state_dict(),
    )
    assert set(first) - set(second) == {"multi_label_log_scale"}
    assert all(torch.equal(first[name], second[name]) for name in second)


def test_convert_does_not_overwrite(run, model, tmp_path):
    assert run("convert", model, tmp_path / "copy")[0] == 0
    code, _, complaint = run("convert", model, tmp_path / "copy")
    assert code == 2
    assert "exists already" in complaint
    assert run("convert", model, tmp_path / "copy", "--overwrite")[0] == 0


def test_the_module_runs_as_a_program():
    command = [sys.executable, "-m", "groupvit", "info", "nothing-of-that-name"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("groupvit: there is no model 'nothing-of-that-name'")
