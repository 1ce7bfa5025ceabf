"""A run that was interrupted and goes on is, bit for bit, the run that never stopped."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from groupvit.data.patterns import expand
from groupvit.errors import InputError
from groupvit.training import state
from groupvit.training.run_folder import RunFolder
from groupvit.training.trainer import train
from tests.data.pairs import sample, write_tar
from tests.training.runs import equal, trace, weights

STEPS = 30
TRAIN = """
import sys
from pathlib import Path

import torch

from groupvit.config import load_toml
from groupvit.training.config import TrainingConfig
from groupvit.training.trainer import train

torch.set_num_threads(1)
sys.exit(train(load_toml(TrainingConfig, Path(sys.argv[1]))))
"""


class PowerCutError(Exception):
    """Stands for anything that ends a process."""


@pytest.fixture
def cut(monkeypatch):
    """Cuts the power when a step, counted from 1, has its images."""

    def cut(step):
        augment = state.augment
        passed = iter(range(1, 1000))

        def changed(images, settings, *, generator):
            if next(passed) == step:
                raise PowerCutError
            return augment(images, settings, generator=generator)

        monkeypatch.setattr(state, "augment", changed)

    return cut


@pytest.mark.parametrize(
    ("step", "averaged"), [(1, True), (4, True), (4, False), (7, False), (8, True)]
)
def test_going_on_after_any_step_changes_nothing(config, tmp_path, cut, step, averaged):
    config = replace(config, ema_decay=0.5 if averaged else 0.0)
    train(replace(config, out=str(tmp_path / "whole")))
    cut(step)
    with pytest.raises(PowerCutError):
        train(config)
    assert train(config) == 0
    assert trace(config.out) == trace(tmp_path / "whole")
    assert equal(weights(config.out), weights(tmp_path / "whole"))


@pytest.fixture
def send(settings, config):
    """Starts a long run, sends a signal while it works, and gives the exit code."""
    text = settings.read_text().replace("steps = 8", f"steps = {STEPS}", 1)
    settings.write_text(text.replace("num_workers = 0", "num_workers = 1"))
    log = Path(config.out) / "log.jsonl"

    def send(number):
        process = subprocess.Popen(
            [sys.executable, "-c", TRAIN, settings],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            while not log.exists() or log.read_text().count("\n") < 5:
                assert process.poll() is None
                time.sleep(0.002)
            time.sleep(0.2 * random.random())
            os.killpg(process.pid, number)
            return process.wait(timeout=60)
        finally:
            process.kill()
            process.wait()

    return send


@pytest.mark.slow
def test_killing_the_process_at_a_random_moment_changes_nothing(config, send, tmp_path):
    config = replace(config, steps=STEPS)
    train(replace(config, out=str(tmp_path / "whole")))
    assert send(signal.SIGKILL) == -signal.SIGKILL
    assert len(trace(config.out)) < STEPS
    assert train(config) == 0
    assert trace(config.out) == trace(tmp_path / "whole")
    assert equal(weights(config.out), weights(tmp_path / "whole"))
    assert list(Path(config.out).glob(".*step-*")) == []


@pytest.mark.slow
def test_a_signal_that_reaches_the_workers_too_still_leaves_a_checkpoint(config, send):
    assert send(signal.SIGTERM) == 143
    run = RunFolder(Path(config.out))
    assert run.latest().name == f"step-{len(trace(run.path)):06d}"


def test_a_full_disk_ends_the_run_and_the_same_command_goes_on(config, tmp_path, monkeypatch):
    train(replace(config, out=str(tmp_path / "whole")))
    saved = []
    write = state.checkpoints.save_file

    def save_file(tensors, path, metadata):
        saved.append(path)
        if len(saved) == 2:
            raise OSError(28, "No space left on device")
        write(tensors, path, metadata)

    monkeypatch.setattr(state.checkpoints, "save_file", save_file)
    with pytest.raises(
        InputError, match=r"step-000006 cannot be .*No space.*step-000003 is complete"
    ):
        train(config)
    assert RunFolder(Path(config.out)).latest().name == "step-000003"
    assert train(config) == 0
    assert trace(config.out) == trace(tmp_path / "whole")
    assert equal(weights(config.out), weights(tmp_path / "whole"))


def test_a_run_with_other_settings_is_not_touched(config):
    train(config)
    before = weights(config.out)
    with pytest.raises(InputError, match="seed was 3 and is 4"):
        train(replace(config, seed=4))
    assert equal(before, weights(config.out))


def test_a_run_goes_on_with_settings_and_shards_that_may_change_by_name(config, tmp_path):
    train(replace(config, steps=4))
    paths = expand(config.data.shards)
    for path in paths:
        shutil.copy(path, tmp_path / path.name)
    moved = replace(config.data, shards=tuple(str(tmp_path / path.name) for path in paths))
    slower = replace(config, data=moved, optim=replace(config.optim, lr=5e-3))
    with pytest.raises(InputError, match=r"with --changed data\.shards optim\.lr$"):
        train(slower)
    assert train(slower, changed=["data.shards", "optim.lr"]) == 0
    assert [step for step, *_ in trace(config.out)] == list(range(1, 9))
    one = replace(slower, steps=10, data=replace(moved, shards=moved.shards[:1]))
    assert train(one, changed=["data"]) == 0
    recorded = json.loads((Path(config.out) / "config.json").read_text())["changes"]
    assert [change["after_step"] for change in recorded] == [4, 8]
    assert recorded[0]["settings"]["optim.lr"] == [0.01, 0.005]


def test_a_replaced_shard_stops_the_run(config, tmp_path):
    path = tmp_path / "some.tar"
    write_tar(path, [part for number in range(8) for part in sample(number)])
    config = replace(config, data=replace(config.data, shards=(str(path),)))
    train(replace(config, steps=4))
    write_tar(path, [part for number in range(1, 9) for part in sample(number)])
    with pytest.raises(InputError, match=r"some\.tar was replaced since the run"):
        train(config)
    assert len(trace(config.out)) == 4
    assert train(config, changed=["data.shards"]) == 0


def test_a_run_that_lost_its_latest_does_not_begin_again(config):
    train(config)
    before = trace(config.out)
    (Path(config.out) / "latest").unlink()
    with pytest.raises(InputError, match="latest is missing; write one of step-000006, step-0"):
        train(replace(config, steps=9))
    assert trace(config.out) == before
    (Path(config.out) / "latest").write_text("step-000008")
    assert train(replace(config, steps=9)) == 0


def test_fresh_begins_anew(config):
    train(config)
    train(replace(config, seed=4), fresh=True)
    assert RunFolder(Path(config.out)).settings().seed == 4
    assert [step for step, *_ in trace(config.out)] == list(range(1, 9))


def test_going_on_needs_no_model_to_start_from(config, tmp_path):
    train(replace(config, out=str(tmp_path / "first")))
    start = tmp_path / "first" / "step-000006"
    second = replace(config, start=str(start))
    train(replace(second, steps=7))
    start.rename(tmp_path / "gone")
    assert train(second) == 0


def test_the_random_numbers_of_the_application_do_not_matter(config, tmp_path):
    torch.manual_seed(1)
    train(config)
    torch.manual_seed(2)
    train(replace(config, out=str(tmp_path / "other")))
    assert trace(config.out) == trace(tmp_path / "other")
