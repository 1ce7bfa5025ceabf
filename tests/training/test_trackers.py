"""Trackers, with stand-ins that record the calls of the libraries' documented functions."""

import sys
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import pytest

from groupvit.errors import InputError
from groupvit.training import trackers
from groupvit.training.config import TrainingConfig


@pytest.fixture
def config(tmp_path):
    (tmp_path / "first").mkdir()
    return TrainingConfig(out=str(tmp_path / "first"))


@pytest.fixture
def wandb(monkeypatch):
    """Stands for the module; lists what `init` and `log` got, and the ends."""
    module, calls = ModuleType("wandb"), []

    @contextmanager
    def init(*, config, **given):
        calls.append(("init", given, config["optim"]["lr"]))
        yield SimpleNamespace(log=lambda record, *, step: calls.append((step, record)))
        calls.append("end")

    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    return calls


@pytest.fixture
def mlflow(monkeypatch):
    """Stands for the module; lists what its functions got, and the ends."""
    module, calls = ModuleType("mlflow"), []

    @contextmanager
    def start_run(*, run_id, run_name):
        calls.append(("start", run_id, run_name))
        yield SimpleNamespace(info=SimpleNamespace(run_id=run_id or "0a1b"))
        calls.append("end")

    module.start_run = start_run
    module.log_params = calls.append
    module.log_metrics = lambda record, *, step: calls.append((step, record))
    monkeypatch.setitem(sys.modules, "mlflow", module)
    return calls


def test_without_a_tracker_nothing_is_called(config, tmp_path):
    with trackers.opened(config, tmp_path / "first") as on_record:
        assert on_record is None


def test_wandb_gets_settings_and_numbers_and_goes_on_in_the_same_run(config, wandb, tmp_path):
    config = replace(config, tracker="wandb")
    for step in (20, 40):
        with trackers.opened(config, tmp_path / "first") as on_record:
            on_record(step, {"loss": 2.5})
    begin, numbers, end, again, *rest = wandb
    kept = (tmp_path / "first" / "wandb-id").read_text().strip()
    given = {"id": kept, "resume": "allow", "name": "first", "dir": str(tmp_path / "first")}
    assert begin == again == ("init", given, config.optim.lr)
    assert len(kept) == 16
    assert [numbers, end, *rest] == [(20, {"loss": 2.5}), "end", (40, {"loss": 2.5}), "end"]


def test_mlflow_gets_settings_once_and_numbers(config, mlflow, tmp_path):
    config = replace(config, tracker="mlflow", evaluate_folder="x" * 600)
    for step in (20, 40):
        with trackers.opened(config, tmp_path / "first") as on_record:
            on_record(step, {"loss": 2.5})
    begin, settings, *rest = mlflow
    assert begin == ("start", None, "first")
    assert settings["optim.lr"] == str(config.optim.lr)
    assert settings["evaluate_folder"] == "x" * 500
    assert rest == [
        (20, {"loss": 2.5}),
        "end",
        ("start", "0a1b", "first"),
        (40, {"loss": 2.5}),
        "end",
    ]


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_tracker_that_is_not_installed_is_refused(config, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=f"not installed; install it with: pip install {name}"):
        trackers.check(replace(config, tracker=name))


def test_a_damaged_id_is_named(config, wandb, tmp_path):
    (tmp_path / "first" / "wandb-id").write_text("x" * 500)
    begun = trackers.opened(replace(config, tracker="wandb"), tmp_path / "first")
    with pytest.raises(InputError, match="wandb-id cannot be read"), begun:
        pass
    assert wandb == []
