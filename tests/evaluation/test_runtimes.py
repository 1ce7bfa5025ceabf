"""Runtimes of a model, compared by `groupvit benchmark`."""

import numpy as np
import pytest

from groupvit.cli import main
from groupvit.errors import InputError
from groupvit.evaluation import runtimes
from groupvit.evaluation.runtimes import Task, Timed, Way

TORCH = Way("torch", "float32")
MAP = np.arange(10_000, dtype=np.uint8).reshape(100, 100) % 7


def changed(count):
    """The map with other labels at this number of pixels."""
    result = MAP.copy()
    result.flat[:count] += 1
    return result


@pytest.fixture
def measured(monkeypatch):
    """Replaces measurements by these numbers of other labels, and returns the models measured."""
    wrong, models = {}, []

    def in_process(model, _revision, way, task):
        models.append((model, way))
        maps = tuple((changed(wrong.get(way, 0)), MAP) for _ in task.sizes)
        return Timed(1.0, 0.5, tuple(2.0 for _ in task.sizes), 10**8, maps)

    monkeypatch.setattr(runtimes, "_in_process", in_process)
    monkeypatch.setattr(runtimes.writing, "write", lambda *_: None)
    return wrong, models


def test_every_way_is_compared_with_pytorch_in_float32(measured):
    wrong, models = measured
    wrong[Way("openvino", "bfloat16")] = 200
    rows, skipped = runtimes.compare("storybook", Task((), (), (64, 96)))
    assert [way for _, way in models] == [
        TORCH,
        Way("torch", "bfloat16"),
        Way("onnxruntime", "float32"),
        Way("openvino", "float32"),
        Way("openvino", "bfloat16"),
    ]
    assert {name for name, way in models if way.runtime != "onnxruntime"} == {"storybook"}
    assert not skipped
    assert [row.size for row in rows] == [64, 96] * 5
    assert [row.agreement for row in rows] == [1.0] * 8 + [0.99] * 2
    assert not any(row.is_wrong for row in rows)


@pytest.mark.usefixtures("measured")
def test_what_is_not_installed_is_left_out_with_its_reason(monkeypatch):
    monkeypatch.setattr(runtimes, "has_openvino", lambda: False)
    monkeypatch.setattr(runtimes, "find_spec", lambda _name: None)
    rows, skipped = runtimes.compare("storybook", Task((), (), (64,)))
    assert [row.way for row in rows] == [TORCH, Way("torch", "bfloat16")]
    assert [one.way.runtime for one in skipped] == ["onnxruntime", "openvino", "openvino"]
    assert "pip install 'groupvit[openvino]'" in skipped[-1].reason


@pytest.mark.usefixtures("measured")
def test_a_way_that_is_refused_is_left_out(monkeypatch):
    before = runtimes._in_process

    def in_process(model, revision, way, task):
        if way.runtime == "openvino":
            raise InputError("it does not compute the same")
        return before(model, revision, way, task)

    monkeypatch.setattr(runtimes, "_in_process", in_process)
    rows, skipped = runtimes.compare("storybook", Task((), (), (64,)))
    assert {row.way.runtime for row in rows} == {"torch", "onnxruntime"}
    assert {one.reason for one in skipped} == {"it does not compute the same"}


@pytest.mark.parametrize(
    ("way", "count", "code"),
    [
        (Way("openvino", "float32"), 10, 0),
        (Way("openvino", "float32"), 100, 1),
        (Way("openvino", "bfloat16"), 100, 0),
        (Way("openvino", "bfloat16"), 5000, 1),
        (Way("torch", "bfloat16"), 5000, 0),  # only this says what bfloat16 does to this model
    ],
)
def test_wrong_masks_end_with_exit_code_1(way, count, code, measured, capsys):
    measured[0][way] = count
    assert main(["benchmark", "storybook", "--sizes", "64"]) == code
    printed = capsys.readouterr().out
    assert f"{1 - count / 20_000:.3%}" in printed
    assert ("wrong: " in printed) == bool(code)


def test_sizes_are_positive(capsys):
    assert main(["benchmark", "storybook", "--sizes", "0"]) == 2
    assert "at least 1" in capsys.readouterr().err


@pytest.mark.slow
def test_a_way_is_measured_by_what_it_computes():
    images = runtimes.photographs()[:1]
    task = Task((*images, "examples/harbour.png"), ("boat", "sea"), (64,))
    found = runtimes.measure("storybook", None, TORCH, task, 1)
    assert found.label_maps[0][0].shape == (300, 451)
    assert len(np.unique(found.label_maps[0][1])) == 2
    assert found.load > 0
    assert found.first > 0
    assert found.rates[0] > 0
    assert found.memory > 10**8
