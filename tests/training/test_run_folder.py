import json
from dataclasses import replace
from pathlib import Path

import pytest

from groupvit.errors import InputError
from groupvit.model.groupvit import GroupViT
from groupvit.training import optim
from groupvit.training.checkpoints import Progress, Snapshot
from groupvit.training.run_folder import RunFolder


@pytest.fixture
def run(config):
    """The prepared folder of a run."""
    run = RunFolder(Path(config.out))
    run.prepare(config, fresh=False)
    return run


@pytest.fixture
def save(run, config):
    """Saves the run as it is after a step."""
    model = GroupViT(config.model)
    optimizer = optim.optimizer_of(model, config.optim)

    def save(step, *, best=False, keep=2):
        progress = Progress(global_batch_size=4, step=step)
        return run.save(Snapshot(model, optimizer, None, progress), best=best, keep=keep)

    return save


def steps(run):
    return sorted(path.name for path in run.path.glob("step-*"))


def test_the_resolved_settings_are_written_down(run, config):
    assert run.settings() == config
    assert json.loads((run.path / "config.json").read_text())["format"] == "groupvit-run-2"


def test_a_new_run_has_no_checkpoint(run):
    assert run.latest() is None
    assert run.best() is None


def test_latest_and_best_name_their_checkpoints(run, save):
    save(3, best=True)
    save(6)
    assert (run.latest(), run.best()) == (run.path / "step-000006", run.path / "step-000003")
    assert (run.path / "latest").read_text() == "step-000006\n"


def test_old_checkpoints_go_but_never_the_best(run, save):
    for step in (1, 2, 3, 4):
        save(step, best=step == 1)
    assert steps(run) == ["step-000001", "step-000003", "step-000004"]


def test_a_run_set_back_by_hand_keeps_what_it_writes(run, save):
    save(8)
    save(9)
    save(4, keep=1)
    assert run.latest() == run.path / "step-000004"
    assert "step-000004" in steps(run)


def test_a_run_that_a_kill_left_untidy_is_tidied(run, config):
    (run.path / ".partial-01234567-step-000003").mkdir()
    (run.path / ".partial-89abcdef-.partial-01234567-step-000003").mkdir()
    run.prepare(config, fresh=False)
    assert list(run.path.glob(".*step-*")) == []


def test_other_settings_are_refused_by_name_with_a_way_out(run, config):
    other = replace(config, seed=4, optim=replace(config.optim, lr=0.5))
    with pytest.raises(InputError, match=r"optim.lr was 0.01 and is 0.5; seed was 3 and is 4; .*-"):
        run.prepare(other, fresh=False)


def test_a_change_of_the_architecture_is_another_run(run, config):
    other = replace(config, model=replace(config.model, embedding_dim=4))
    with pytest.raises(
        InputError, match=r"model.embedding_dim was 8 and is 4; .*--out, or .*--fre"
    ):
        run.prepare(other, fresh=False)


def test_what_does_not_change_the_training_may_change(run, config):
    other = replace(config, steps=20, log_every=5, keep_last=7, data=replace(config.data))
    run.prepare(other, fresh=False)
    assert run.settings() == other


def test_fresh_deletes_the_run(run, config, save):
    save(3)
    run.prepare(replace(config, seed=9), fresh=True)
    assert run.latest() is None
    assert steps(run) == []


def test_a_run_killed_before_it_began_can_begin(config):
    Path(config.out).mkdir()
    (Path(config.out) / ".config.json").write_text("{")
    RunFolder(Path(config.out)).prepare(config, fresh=False)
    assert RunFolder(Path(config.out)).settings() == config


@pytest.mark.parametrize("fresh", [True, False])
def test_a_folder_that_is_no_run_is_left_alone(config, fresh):
    folder = Path(config.out)
    folder.mkdir()
    (folder / "letter.txt").write_text("Dear reader,")
    with pytest.raises(InputError, match=r"holds something else than a run; choose another --out"):
        RunFolder(folder).prepare(config, fresh=fresh)
    assert (folder / "letter.txt").exists()


def test_a_place_below_a_file_is_refused(config, tmp_path):
    (tmp_path / "file").write_text("a file")
    with pytest.raises(InputError, match=r"run folder .* cannot be written: Not a directory"):
        RunFolder(tmp_path / "file" / "run").prepare(config, fresh=False)


def full(*_, **__):
    raise OSError(28, "No space left on device")


def test_a_full_disk_names_the_last_whole_checkpoint(run, save, monkeypatch):
    monkeypatch.setattr("groupvit.training.checkpoints.save_file", full)
    with pytest.raises(InputError, match=r"no checkpoint was written; the same"):
        save(1)
    monkeypatch.undo()
    save(3)
    monkeypatch.setattr("groupvit.training.checkpoints.save_file", full)
    with pytest.raises(InputError, match=r"step-000006 cannot .* space .*step-000003 is complete"):
        save(6)
    assert (run.latest(), steps(run)) == (run.path / "step-000003", ["step-000003"])
