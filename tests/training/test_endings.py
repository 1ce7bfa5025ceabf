"""A run ends with its exit code, and its workers end with it, whatever was raised where."""

import os
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import os
import sys
import time
from pathlib import Path

import torch

from groupvit.config import load_toml
from groupvit.data import loader
from groupvit.training import state, trainer
from groupvit.training.config import TrainingConfig

RANK = os.environ.get("RANK", "0")
mistake, settings = sys.argv[1:]
torch.set_num_threads(1)


def wrong(*_, **__):
    raise ZeroDivisionError("never expected")


def stuck(*_, **__):
    time.sleep(1000)


if mistake == "step":
    state.optim.clip = wrong
elif mistake == "one rank" and RANK == "1":
    state.optim.clip = wrong
elif mistake == "worker":
    loader.decode = wrong
elif mistake == "killed worker":
    loader.decode = lambda *_, **__: os.kill(os.getpid(), 9)
elif mistake == "stuck worker":
    whole = loader.Batches.__getitem__
    loader.Batches.__getitem__ = lambda self, n: whole(self, n) if n < 2 else stuck()
    trainer.TrainingState.check_skipped = wrong
    state.optim.clip = lambda *_: torch.tensor(float("nan"))
elif mistake == "start":
    # The second worker cannot be started; the first ignores SIGTERM by then.
    init = torch.multiprocessing.Process.start
    started = []

    def start(self):
        if started:
            time.sleep(2)
            wrong()
        started.append(self)
        init(self)

    torch.multiprocessing.Process.start = start
sys.exit(trainer.train(load_toml(TrainingConfig, Path(settings))))
"""


@pytest.fixture
def run(settings, tmp_path):
    """Runs a training with two workers, and gives its exit code and stderr."""
    text = settings.read_text().replace("steps = 8", "steps = 8000", 1)
    settings.write_text(text.replace("num_workers = 0", "num_workers = 2"))
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def run(mistake, *launcher, seconds=120):
        process = subprocess.Popen(
            [sys.executable, *launcher, script, mistake, settings],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            errors = process.communicate(timeout=seconds)[1]
        finally:
            alive = processes(tmp_path)
            for pid in alive:
                os.kill(pid, signal.SIGKILL)
        assert alive == []
        return process.returncode, errors

    return run


def processes(folder):
    """Ids of the processes, not defunct ones, whose command line names a folder."""
    listed = subprocess.check_output(["ps", "-ww", "-eo", "pid=,stat=,args="], text=True)
    rows = [line.split(maxsplit=2) for line in listed.splitlines() if str(folder) in line]
    return [int(pid) for pid, state, _ in rows if not state.startswith("Z")]


def test_processes_are_found_by_their_command_line(tmp_path):
    command = [sys.executable, "-c", "input()", "x" * 200, tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert processes(tmp_path) == [process.pid]
    assert processes(tmp_path) == []


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("step", "ZeroDivisionError: never expected"),
        ("worker", "never expected"),
        ("killed worker", "is killed by signal: Killed"),
        ("stuck worker", "never expected"),
        ("start", "never expected"),
    ],
)
def test_an_unexpected_error_ends_the_run_and_its_workers(run, mistake, message):
    code, errors = run(mistake)
    assert code == 1, errors
    assert message in errors


@pytest.mark.parametrize("mistake", ["step", "one rank", "worker"])
def test_an_unexpected_error_on_a_rank_ends_all_ranks(run, mistake):
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    code, errors = run(mistake, *torchrun)
    assert code == 1
    assert "never expected" in errors
