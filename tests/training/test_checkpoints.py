import copy
import json
import math
import resource
from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import load_file, save_file

from groupvit.errors import InputError
from groupvit.training import checkpoints, optim
from groupvit.training.checkpoints import Progress, Snapshot
from groupvit.training.config import OptimConfig
from groupvit.training.ema import EMA
from groupvit.weights import checkpoint


def learn(state, seed=0):
    """An update with a drawn gradient."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in state.model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    state.optimizer.step()
    state.progress.count(damaged=2, skipped=False)
    if state.average:
        state.average.update(state.model, 100)


@pytest.fixture
def make(tiny_model):
    """Makes the state of a training of the small model, with or without an average."""

    def make(*, averaged=True):
        model = copy.deepcopy(tiny_model)
        average = EMA(model, 0.9) if averaged else None
        optimizer = optim.optimizer_of(model, OptimConfig())
        return Snapshot(model, optimizer, average, Progress(global_batch_size=4))

    return make


@pytest.mark.parametrize("averaged", [True, False])
def test_a_state_that_is_read_goes_on_as_the_one_that_was_written(make, tmp_path, averaged):
    first, second = make(averaged=averaged), make(averaged=averaged)
    learn(first)
    checkpoints.write(tmp_path / "step-1", first, run="a test")
    second = checkpoints.read(tmp_path / "step-1", second)
    assert second.progress == Progress(global_batch_size=4, step=1, damaged=2)
    for state in (first, second):
        learn(state, seed=1)
    for one in ("model", "evaluated"):
        ours, theirs = (getattr(state, one).state_dict() for state in (first, second))
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_checkpoint_is_a_model_folder_that_holds_the_average(make, tmp_path):
    state = make()
    learn(state)
    checkpoints.write(tmp_path / "step-1", state, run="runs/a")
    model, origin, *_ = checkpoint.load(tmp_path / "step-1")
    assert origin.source == "trained in runs/a for 1 steps"
    for name, value in model.state_dict().items():
        assert torch.equal(value, state.average.model.state_dict()[name])


def test_only_whole_checkpoints_are_read(make, tmp_path):
    checkpoints.write(tmp_path / "step-0", make(), run="a test")
    (tmp_path / "step-0" / "complete").unlink()
    with pytest.raises(
        InputError, match=r"step-0 is not a complete checkpoint; .* or pass --fresh"
    ):
        checkpoints.read(tmp_path / "step-0", make())


@pytest.mark.parametrize("name", ["model.safetensors", "training.safetensors", "training.json"])
def test_a_damaged_file_is_named(make, tmp_path, name):
    checkpoints.write(tmp_path / "step-0", make(), run="a test")
    (tmp_path / "step-0" / name).write_bytes(b"damaged")
    with pytest.raises(InputError, match=name):
        checkpoints.read(tmp_path / "step-0", make())


@pytest.mark.parametrize("name", ["model.safetensors", "training.safetensors"])
def test_a_checkpoint_that_is_not_finite_is_refused(make, tmp_path, name):
    state = make()
    learn(state)
    checkpoints.write(tmp_path / "step-1", state, run="a test")
    path = tmp_path / "step-1" / name
    tensors = load_file(path)
    next(x for x in tensors.values() if x.is_floating_point()).fill_(math.nan)
    save_file(tensors, path)
    with pytest.raises(InputError, match=rf"{name}: values that are infinite or no numbers in "):
        checkpoints.read(tmp_path / "step-1", make())


def test_another_global_batch_is_refused(make, tmp_path):
    checkpoints.write(tmp_path / "step-0", make(), run="a test")
    state = make()._replace(progress=Progress(global_batch_size=8))
    with pytest.raises(InputError, match=r"4 pairs in a step, and now there are 8"):
        checkpoints.read(tmp_path / "step-0", state)


def test_what_a_killed_writer_left_is_replaced(make, tmp_path):
    checkpoints.write(tmp_path / "step-0", make(), run="a test")
    (tmp_path / "step-0" / "complete").unlink()
    left_over = tmp_path / ".partial-01234567-step-0"
    left_over.mkdir()
    (left_over / "model.safetensors").write_text("half")
    checkpoints.write(tmp_path / "step-0", make(), run="a test")
    checkpoints.read(tmp_path / "step-0", make())
    assert [path.name for path in tmp_path.iterdir()] == ["step-0"]


def full(*_, **__):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    "step",
    [
        "training.checkpoints.save_file",
        "training.checkpoints.Path.write_text",
        "training.checkpoints.Path.touch",
        "files.os.fsync",
    ],
)
def test_a_full_disk_leaves_nothing_behind(make, tmp_path, monkeypatch, step):
    state = make()
    monkeypatch.setattr(f"groupvit.{step}", full)
    with pytest.raises(InputError, match=r"step-1 cannot be written: .*No space left"):
        checkpoints.write(tmp_path / "step-1", state, run="a test")
    assert list(tmp_path.iterdir()) == []


@contextmanager
def largest_file(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("share", [0.5, 1.5])
def test_a_disk_that_really_refuses_is_named_too(make, tmp_path, share):
    """The limit meets the model's file, or only the larger one beside it."""
    state = make()
    learn(state)
    checkpoints.write(tmp_path / "step-1", state, run="a test")
    limit = int(share * (tmp_path / "step-1" / "model.safetensors").stat().st_size)
    with largest_file(limit), pytest.raises(InputError, match=r"step-2 cannot be .*too large"):
        checkpoints.write(tmp_path / "step-2", state, run="a test")
    assert [path.name for path in tmp_path.iterdir()] == ["step-1"]


def test_scores_tell_which_is_the_best():
    progress = Progress(global_batch_size=1)
    scores = (math.nan, 0.2, 0.1, 0.2, math.nan, 0.3)
    assert [progress.score(miou) for miou in scores] == [False, True, False, False, False, True]
    assert (progress.miou, progress.best_miou) == (0.3, 0.3)


def test_an_update_ends_a_row_of_skipped_steps():
    progress = Progress(global_batch_size=1)
    for skipped in (True, True, False, True):
        progress.count(damaged=0, skipped=skipped)
    assert (progress.step, progress.skipped, progress.skipped_in_a_row) == (4, 3, 1)


def test_the_counters_can_be_read_by_people(make, tmp_path):
    checkpoints.write(tmp_path / "step-0", make(), run="a test")
    assert json.loads((tmp_path / "step-0" / "training.json").read_text())["step"] == 0
