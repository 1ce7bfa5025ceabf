import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
import torch

import groupvit
from groupvit import cli
from groupvit.cli import COMMANDS
from groupvit.cli.options import ModelOptions
from groupvit.weights import catalogue
from tests.lively import size_of


def after(*command_lines):
    """Modules that a process has imported after running these command lines."""
    code = (
        "import json, sys, groupvit.cli\n"
        "for line in json.loads(sys.argv[1]):\n"
        "    try: groupvit.cli.main(line)\n"
        "    except SystemExit: pass\n"
        "sys.stderr.write(json.dumps(sorted(sys.modules)))"
    )
    command = [sys.executable, "-c", code, json.dumps(command_lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr))


def test_help_does_not_wait_for_torch():
    imported = after(*([command, "--help"] for command in COMMANDS))
    assert "groupvit.cli.segment" in imported
    assert not {"torch", "numpy", "transformers"} & imported


def test_the_help_page_waits_for_no_command():
    imported = after(["--help"])
    assert not {"tyro", "rich", "groupvit.cli.segment"} & imported


def test_the_help_page_fits_a_screen_and_lists_every_command(run):
    code, printed, _ = run("--help")
    lines = printed.splitlines()
    assert code == 0
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    modules = {path.stem for path in Path(cli.__file__).parent.glob("*.py")}
    for command in COMMANDS:
        assert command.replace("-", "_") in modules
        assert sum(command in line[10:28].split() for line in lines) == 1


def test_without_a_command_the_help_page_goes_to_stderr(run):
    code, printed, complaint = run()
    assert (code, printed) == (2, "")
    assert complaint.startswith("usage: groupvit COMMAND")


def test_the_version_is_that_of_the_package(run):
    settings = tomllib.loads(Path("pyproject.toml").read_text())
    assert "version" in settings["project"]["dynamic"]
    assert settings["tool"]["hatch"]["version"]["path"] == "src/groupvit/version.py"
    assert run("--version") == (0, f"groupvit {groupvit.__version__}\n", "")


def test_a_command_that_is_nearly_known_is_suggested(run):
    assert run("segmnt")[2].endswith("; did you mean 'segment'?\n")
    assert "did you mean" not in run("xyzzy")[2]


@pytest.mark.parametrize("line", [["--help"], ["segment", "--help"], ["recipes"], ["evaluate"]])
def test_output_that_nobody_reads_ends_the_program_quietly(line):
    """As `groupvit recipes | true` does."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "groupvit", *line, *["--list"] * (line == ["evaluate"])]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("line", [["segment", "--help"], ["convert"]])
def test_no_color_is_heeded(line):
    import pty

    shown = {}
    for setting in ("", "1"):
        main, terminal = pty.openpty()
        environment = {**os.environ, "NO_COLOR": setting, "TERM": "xterm"}
        command = [sys.executable, "-m", "groupvit", *line]
        running = subprocess.Popen(
            command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment
        )
        os.close(terminal)
        shown[setting] = b""
        try:
            while piece := os.read(main, 4096):
                shown[setting] += piece
        except OSError:  # Linux's way to end
            pass
        running.wait()
        os.close(main)
    assert b"\x1b[" in shown[""]
    assert b"\x1b[" not in shown["1"]


def test_an_unknown_command_is_named(run):
    code, _, complaint = run("segmnet", "--help")
    assert code == 2
    assert "there is no command 'segmnet'; groupvit --help lists the commands" in complaint


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run, capsys, command):
    with pytest.raises(SystemExit) as stop:
        run(command, "--help-all")
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert f"usage: groupvit {command}" in shown
    for blank in ("(default: )", "{None}", " This. "):
        assert blank not in " ".join(shown.replace("│", " ").split())


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


def test_photographs_are_the_domain_of_the_model_that_is_taken_where_none_is_named(run):
    assert ModelOptions().model == "photos"
    code, printed, _ = run("info")
    assert code == 0
    for part in ("photographs", "research use", "names distilled", "efficientnet-lite0"):
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


@pytest.fixture
def interruptible():
    """Processes answer Ctrl-C even where the tests run in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
@pytest.mark.usefixtures("interruptible")
def test_a_signal_ends_a_command_and_leaves_no_temporary_files(tmp_path, number, code):
    options = ["--num", "100000", "--test", "1", "--out", tmp_path / "book"]
    process = subprocess.Popen(
        [sys.executable, "-m", "groupvit", "storybook", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while not list(tmp_path.rglob("*.tar")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        complaint = process.communicate(timeout=60)[1]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == code
    assert complaint == "groupvit: interrupted; files written so far are kept\n"
    assert [path for path in tmp_path.rglob("*") if path.name != "book"] == []


def test_the_handler_of_an_application_is_left_alone(run):
    seen = []
    before = signal.signal(signal.SIGTERM, lambda *_: seen.append(1))
    try:
        assert run("info", "nothing-of-that-name")[0] == 2
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [1]
    assert run("info", "nothing-of-that-name")[0] == 2
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_module_runs_as_a_program():
    command = [sys.executable, "-m", "groupvit", "info", "nothing-of-that-name"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("groupvit: there is no model 'nothing-of-that-name'")
