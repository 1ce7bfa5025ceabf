import io
import json
import math
import os
import sys

import pytest
import torch
from rich.console import Console

from groupvit.errors import InputError
from groupvit.training import log
from groupvit.training.log import Log, Meter


@pytest.fixture
def printed():
    """What the console shows."""
    return io.StringIO()


@pytest.fixture
def opened(tmp_path, printed):
    """Opens the log of a run of 10 steps that begins after a step."""

    def opened(start=0, *, terminal=False, tensorboard=None, on_record=()):
        console = Console(file=printed, force_terminal=terminal, width=80, soft_wrap=True)
        given = {"console": console, "tensorboard": tensorboard, "on_record": on_record}
        return Log(tmp_path / "log.jsonl", start=start, steps=10, **given)

    return opened


def lines(tmp_path):
    return [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]


def test_each_step_is_one_object_in_a_line(opened, tmp_path):
    with opened() as one:
        one.write(1, {"loss": 2.5, "loss/caption": 1.5})
        one.write(2, {"loss": 2.0})
    assert lines(tmp_path) == [
        {"step": 1, "loss": 2.5, "loss/caption": 1.5},
        {"step": 2, "loss": 2.0},
    ]


def test_a_line_for_people_says_the_same(opened, printed):
    with opened() as one:
        one.write(1, {"loss": 2.5, "loss/multi_label": 1.5, "lr": 4e-6, "skipped": 0})
    assert printed.getvalue() == "step 1/10, loss 2.5 (multi label 1.5), lr 4.00e-06, skipped 0\n"


def test_a_line_stands_in_the_file_at_once(opened, tmp_path):
    with opened() as one:
        one.write(1, {"loss": 2.5})
        assert len(lines(tmp_path)) == 1


def test_what_is_no_finite_number_is_null(opened, tmp_path):
    with opened() as one:
        one.write(1, {"loss": math.nan, "gradient": math.inf})
    assert lines(tmp_path) == [{"step": 1, "loss": None, "gradient": None}]


def test_a_run_that_goes_on_has_each_step_once(opened, tmp_path):
    with opened() as one:
        for step in (1, 2, 3):
            one.write(step, {"loss": 1.0})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    with opened(start=2) as one:
        one.write(3, {"loss": 7.0})
    assert [(line["step"], line["loss"]) for line in lines(tmp_path)] == [(1, 1), (2, 1), (3, 7)]


def test_ranks_that_do_not_speak_write_nothing(tmp_path):
    console = Console(quiet=True)
    with Log(None, start=0, steps=10, console=console, tensorboard=tmp_path / "board") as one:
        one.write(1, {"loss": 1.0})
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_shows_a_bar_and_a_file_none(opened, printed):
    with opened() as one:
        one.advance(1)
    assert printed.getvalue() == ""
    with opened(terminal=True) as one:
        one.advance(1)
    assert "1/10" in printed.getvalue()


def test_a_file_that_cannot_be_written_is_named(opened, tmp_path):
    with opened() as one:
        (tmp_path / "log.jsonl").mkdir()
        with pytest.raises(InputError, match=r"log.jsonl cannot be written: Is a directory"):
            one.write(1, {"loss": 1.0})


def test_tensorboard_gets_the_numbers_too(opened, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with opened(tensorboard=tmp_path / "board") as one:
        one.write(1, {"loss": 2.5})
    events = EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 2.5)]


def test_tensorboard_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"pip install groupvit\[train\]"):
        log.board(tmp_path, 0)


def test_waiting_is_the_time_until_items_come(monkeypatch):
    clock = iter([0.0, 1.0, 3.0, 4.0, 8.0, 10.0, 10.0])
    monkeypatch.setattr(log.time, "perf_counter", lambda: next(clock))
    meter = Meter()
    items = meter.timed(iter("ab"))
    next(items), next(items)  # from 1 to 3, from 4 to 8
    meter.count(20)
    record = meter.read(torch.device("cpu"))
    assert (record["images_per_second"], record["waiting"]) == (2.0, 0.6)


@pytest.mark.skipif(os.name != "posix", reason="only POSIX tells the memory of a process")
def test_memory_is_that_of_a_process():
    assert 0.05 < log.memory(torch.device("cpu"))["memory_gib"] < 100


def test_a_function_gets_every_step_with_its_numbers(opened):
    got = []
    with opened(on_record=[lambda step, record: got.append((step, dict(record)))]) as one:
        one.write(2, {"loss": 2.5, "lr": math.nan})
        one.advance(3)
        one.write(4, {"loss": 1.5})
    assert [step for step, _ in got] == [2, 4]
    assert got[0][1]["loss"] == 2.5
    assert math.isnan(got[0][1]["lr"])
    assert got[1] == (4, {"loss": 1.5})
