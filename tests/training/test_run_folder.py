import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from groupvit import files
from groupvit.errors import InputError
from groupvit.model.groupvit import GroupViT
from groupvit.training import optim
from groupvit.training.checkpoints import Progress, Snapshot
from groupvit.training.run_folder import RunFolder
from tests.data.pairs import sample, write_tar


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


def test_copies_of_checkpoints_are_left_alone(run, save):
    for name in ("step-000001-backup", "step-old", "step-"):
        (run.path / name).mkdir()
    for step in (1, 2, 3):
        save(step, keep=1)
    assert steps(run) == ["step-", "step-000001-backup", "step-000003", "step-old"]


def test_a_lost_latest_stops_the_run_and_lists_the_checkpoints(run, save, config):
    save(3)
    save(6)
    latest = run.path / "latest"
    for content, state in (
        (None, "is missing"),
        ("", "is empty"),
        ("\n", "is empty"),
        ("step-000009\n", "names 'step-000009', which is not a complete checkpoint"),
    ):
        latest.unlink()
        if content is not None:
            latest.write_text(content)
        with pytest.raises(InputError) as mistake:
            run.prepare(config, fresh=False)
        assert str(mistake.value) == (
            f"{latest} {state}; write one of step-000003, step-000006 into it to resume from "
            "there, or pass --fresh to delete the run"
        )
        latest.write_text("step-000003\n")
        run.prepare(config, fresh=False)
        assert run.latest() == run.path / "step-000003"


def test_an_incomplete_checkpoint_is_not_listed(run, save, config):
    (save(3) / "complete").unlink()
    sentence = r"latest names 'step-000003', which is not a complete checkpoint; pass --fresh"
    with pytest.raises(InputError, match=sentence):
        run.prepare(config, fresh=False)


def test_a_run_killed_between_its_first_checkpoint_and_latest_begins_again(
    run, save, config, monkeypatch
):
    write = files.write_text

    def killed(path, text):
        if text.startswith("step-"):
            raise KeyboardInterrupt
        write(path, text)

    monkeypatch.setattr(files, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        save(3)
    monkeypatch.undo()
    run.prepare(config, fresh=False)
    assert run.latest() is None
    save(3)
    assert run.latest() == run.path / "step-000003"


def test_changed_settings_are_allowed_by_name_and_recorded(run, config, save):
    save(3)
    faster = replace(config, optim=replace(config.optim, lr=0.5, clip=1.0))
    sentence = r"or resume with --changed optim\.lr optim\.clip$"
    with pytest.raises(InputError, match=sentence):
        run.prepare(faster, fresh=False)
    with pytest.raises(InputError, match=r"optim\.clip was 5\.0 and is 1\.0; choose"):
        run.prepare(faster, fresh=False, changed=["optim.lr"])
    run.prepare(faster, fresh=False, changed=["optim.lr", "optim.clip"])
    assert run.settings() == faster
    save(6)
    run.prepare(replace(faster, seed=7), fresh=False, changed=["optim", "seed"])
    run.prepare(replace(faster, seed=7, steps=20), fresh=False, changed=["seed"])
    assert json.loads((run.path / "config.json").read_text())["changes"] == [
        {"after_step": 3, "settings": {"optim.lr": [0.01, 0.5], "optim.clip": [5.0, 1.0]}},
        {"after_step": 6, "settings": {"seed": [3, 7]}},
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("optim.speed", "there is no setting 'optim.speed'"),
        ("opt", "there is no setting 'opt'"),
        ("model", "model cannot change in a run"),
        ("model.image.dim", "model.image.dim cannot change in a run"),
        ("ema_decay", "ema_decay cannot change in a run"),
    ],
)
def test_a_name_that_cannot_change_is_refused(run, config, name, message):
    with pytest.raises(InputError, match=message):
        run.prepare(config, fresh=False, changed=[name])


@pytest.fixture
def shard(tmp_path):
    """A small shard."""
    parts = [part for number in range(4) for part in sample(number)]
    return write_tar(tmp_path / "some.tar", parts)


def test_a_shard_replaced_under_its_path_is_noticed(run, shard, tmp_path):
    run.check_shards([shard])
    other = tmp_path / "other.tar"
    write_tar(other, [part for number in range(4, 8) for part in sample(number)])
    assert other.stat().st_size == shard.stat().st_size
    other.replace(shard)
    sentence = rf"{shard} was replaced since the run .* began; .* or pass --changed data\.shards"
    with pytest.raises(InputError, match=sentence):
        run.check_shards([shard])
    run.check_shards([shard], changed=["data"])
    run.check_shards([shard])


def test_a_copied_or_touched_shard_is_the_same(run, shard):
    run.check_shards([shard])
    os.utime(shard)
    run.check_shards([shard])
    content = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(content)
    run.check_shards([shard])


def test_patterns_that_stand_for_other_shards_are_noticed(run, shard, tmp_path):
    other = write_tar(tmp_path / "other.tar", sample(5))
    run.check_shards([shard, other])
    for paths, sentence in [
        ([shard], r"other\.tar is missing since the run"),
        ([other, shard], "have another order than when it began"),
        ([shard, other, write_tar(tmp_path / "third.tar", sample(6))], r"third\.tar is new since"),
    ]:
        with pytest.raises(InputError, match=sentence):
            run.check_shards(paths)
    run.check_shards([shard, other, shard])
    run.check_shards([shard], changed=["data.sources"])
    run.check_shards([shard])


def test_a_damaged_list_of_shards_is_named(run, shard):
    run.check_shards([shard])
    for content in ("{", "[]", '{"a": 1}'):
        (run.path / "shards.json").write_text(content)
        with pytest.raises(InputError, match=r"shards\.json"):
            run.check_shards([shard])


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
    run.begin()
    assert list(run.path.parent.glob(".*")) == []


def test_fresh_that_is_refused_puts_the_run_back(run, config, save):
    save(3)
    run.prepare(replace(config, seed=9), fresh=True)
    run.withdraw()
    assert run.latest() == run.path / "step-000003"
    assert run.settings() == config
    assert list(run.path.parent.glob(".*")) == []


def test_a_run_killed_before_it_began_can_begin(config):
    Path(config.out).mkdir()
    (Path(config.out) / ".config.json").write_text("{")
    RunFolder(Path(config.out)).prepare(config, fresh=False)
    assert RunFolder(Path(config.out)).settings() == config


def test_fresh_that_was_killed_can_be_repeated(run, config, save, monkeypatch):
    save(3)

    def killed(path, **_):
        (path / "config.json").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(files.shutil, "rmtree", killed)
    run.prepare(config, fresh=True)
    with pytest.raises(KeyboardInterrupt):
        run.begin()
    monkeypatch.undo()
    run.prepare(config, fresh=True)
    assert [path.name for path in run.path.iterdir()] == ["config.json"]
    run.prepare(config, fresh=True)
    run.begin()
    assert list(run.path.parent.glob(".partial-*")) == []


def test_fresh_keeps_a_link_to_another_disk(run, config, save, tmp_path):
    save(3)
    run.path.rename(tmp_path / "disk")
    run.path.symlink_to(tmp_path / "disk")
    run.prepare(config, fresh=True)
    run.begin()
    assert run.settings() == config
    assert run.latest() is None
    assert not (tmp_path / "disk" / "step-000003").exists()


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
