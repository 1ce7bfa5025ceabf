"""Shards and checkpoints in a bucket of a real S3 server on this machine that fails on demand."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest
import s3fs

from groupvit.cli import main
from groupvit.data import index, patterns
from groupvit.data.shards import Shards
from groupvit.errors import InputError
from groupvit.training import state
from groupvit.training.trainer import train
from tests import s3
from tests.data.pairs import encoded, photo, sample, write_tar
from tests.ranks import free_port
from tests.training.runs import equal, trace, weights

URL = "s3://lake/pairs/train-{000..001}.tar"


class PowerCutError(Exception):
    """Stands for anything that ends a process."""


@pytest.fixture
def bucket(monkeypatch, shards, tmp_path):
    """The shards in a bucket, and what makes its server fail; a machine with empty disks."""
    monkeypatch.setenv("GROUPVIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with s3.bucket(monkeypatch) as (store, faults):
        for path in patterns.expand([shards]):
            store.put_file(str(path), f"lake/pairs/{path.name}")
        yield store, faults


@pytest.fixture
def remote(config):
    """The settings of the run with its shards in the bucket."""
    return replace(config, data=replace(config.data, shards=(URL,)))


@pytest.fixture
def whole(config, tmp_path):
    """Folder of an uninterrupted run from disk."""
    train(replace(config, out=str(tmp_path / "whole")))
    return tmp_path / "whole"


def same(run, whole):
    return trace(run) == trace(whole) and equal(weights(run), weights(whole))


@pytest.mark.parametrize(("copies", "num_workers"), [("", 1), ("copies", 0)])
def test_training_from_a_failing_server_equals_training_from_disk(
    bucket, remote, whole, monkeypatch, copies, num_workers
):
    _, faults = bucket
    short = {"config_kwargs": {"read_timeout": s3.STALL - 2}}
    monkeypatch.setitem(fsspec.config.conf, "s3", short)
    faults.every, faults.stalls = 3, 1
    data = replace(remote.data, copies=copies, num_workers=num_workers)
    assert train(replace(remote, data=data)) == 0
    assert min(faults.refused, faults.cut, faults.stalled) > 0
    assert same(remote.out, whole)
    assert len(list(Path.cwd().glob("copies/*/train-*.tar"))) == (2 if copies else 0)


def test_a_run_resumes_on_another_machine_from_its_copy(bucket, remote, whole, monkeypatch):
    store, faults = bucket
    config, augment = replace(remote, out="s3://lake/runs/first"), state.augment
    passed = iter(range(1, 1000))

    def cut(images, settings, *, generator):
        if next(passed) == 8:
            raise PowerCutError
        return augment(images, settings, generator=generator)

    faults.every = 4
    with monkeypatch.context() as patch:
        patch.setattr(state, "augment", cut)
        with pytest.raises(PowerCutError):
            train(config)
    shutil.rmtree("runs")  # the disk of the first machine
    shutil.rmtree("cache")
    store.pipe_file("lake/runs/first/step-000007/model.safetensors", b"a part")  # was cut here
    assert train(config) == 0
    local = Path("runs/lake/runs/first")
    assert same(local, whole)
    faults.end()
    assert store.cat_file("lake/runs/first/latest") == b"step-000008\n"
    assert {name.partition("first/")[2] for name in store.find("lake/runs/first")} == {
        path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file()
    }
    stopped = trace(local)
    assert train(config, fresh=True) == 0
    assert trace(local) == stopped


def test_a_changed_object_is_refused(bucket, remote, tmp_path):
    store, _ = bucket
    train(replace(remote, steps=3))
    (shard, _) = index.prepare(patterns.expand([URL]), None)
    reader = Shards([shard]).reader(0)
    assert reader.image(0)
    parts = [part for number in range(20, 32) for part in sample(number)]
    store.put_file(str(write_tar(tmp_path / "other.tar", parts)), "lake/pairs/train-000.tar")
    for read in (reader.image, lambda n: Shards([shard]).reader(0).image(n)):
        with pytest.raises(InputError, match=r"s3://lake/pairs/train-000\.tar was changed since"):
            read(1)
    with pytest.raises(InputError, match=r"s3://lake/pairs/train-000\.tar was replaced since"):
        train(remote)
    assert train(remote, changed=["data.shards"]) == 0


def complaint(capsys, settings, *options):
    code = main(["train", str(settings), *options])
    words = capsys.readouterr().err
    assert (code, words.count("\n")) == (2, 1)
    return words


def test_what_the_store_refuses_is_one_sentence(bucket, settings, capsys, monkeypatch):
    _, faults = bucket
    url = "s3://lake/pairs/train-000.tar"
    missing = complaint(capsys, settings, "--data.shards", "s3://lake/no.tar")
    assert "there is nothing at s3://lake/no.tar" in missing
    assert "missing" in complaint(capsys, settings, "--data.shards", "gs://lake/no.tar")
    faults.forbidden = True
    assert f"no permission for {url}" in complaint(capsys, settings, "--data.shards", url)
    faults.forbidden = False
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 2)
    faults.every = 1
    assert f"{url} cannot be read" in complaint(capsys, settings, "--data.shards", url)


@pytest.mark.usefixtures("bucket")
def test_copies_that_do_not_fit_on_the_disk_are_refused_before_the_first(monkeypatch):
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(InputError, match=r"copies of 2 shards need 0\.0 GB"):
        patterns.expand([URL], copies="copies")
    assert not list(Path("copies").iterdir())


def test_a_copy_without_a_complete_latest_checkpoint_is_refused(bucket, remote):
    store, _ = bucket
    config = replace(remote, out="s3://lake/runs/first", steps=3)
    train(config)
    store.pipe_file("lake/runs/first/notes.txt", b"of the user")
    store.rm_file("lake/runs/first/step-000003/complete")
    shutil.rmtree("runs")
    with pytest.raises(InputError, match="first/latest holds 'step-000003', which is no complete"):
        train(config)
    assert train(config, fresh=True) == 0
    assert store.cat_file("lake/runs/first/notes.txt") == b"of the user"
    settings = json.loads(store.cat_file("lake/runs/first/config.json"))["settings"]
    assert settings["steps"] == 3


@pytest.mark.usefixtures("bucket")
def test_pairs_are_packed_into_a_bucket(tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / "photos").mkdir(exist_ok=True)
        (tmp_path / f"photos/{name}.jpg").write_bytes(encoded(photo(3)))
        (tmp_path / f"photos/{name}.txt").write_text("a dog on a hill")
    pack = ["pack", "photos", "--out", "s3://lake/packed", "--shard-size", "1"]
    assert main(pack) == 0
    assert "are now in s3://lake/packed/train-000000.tar to train-000001" in capsys.readouterr().out
    assert main(pack) == 2
    assert "s3://lake/packed/train-000000.tar exists already" in capsys.readouterr().err
    assert main([*pack[:-1], "2", "--overwrite"]) == 0
    tars = patterns.expand(["s3://lake/packed/train-000000.tar"])
    assert [shard.num_samples for shard in index.prepare(tars, None)] == [2]
    with pytest.raises(InputError, match="there is nothing at"):
        patterns.expand(["s3://lake/packed/train-000001.tar"])


NODE = """
import os
import sys
from pathlib import Path

import torch

from groupvit.config import load_toml
from groupvit.training import state
from groupvit.training.config import TrainingConfig
from groupvit.training.trainer import train

torch.set_num_threads(1)
augment, steps = state.augment, iter(range(1, 100))


def killed(images, settings, *, generator):
    if next(steps) == int(sys.argv[2]):
        os._exit(137)
    return augment(images, settings, generator=generator)


if os.environ["RANK"] == "1":
    state.augment = killed
sys.exit(train(load_toml(TrainingConfig, Path(sys.argv[1]))))
"""


def two_nodes(settings, *, killed_at=0):
    """Run both nodes, each in a folder of its own, as torchrun starts them; gives exit codes."""
    port = free_port()
    nodes = []
    for rank in (0, 1):
        folder = Path(f"node-{rank}").absolute()
        folder.mkdir(exist_ok=True)
        shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        own = {"RANK": str(rank), "LOCAL_RANK": "0", "GROUPVIT_CACHE": str(folder / "cache")}
        command = [sys.executable, "-c", NODE, str(settings), str(killed_at)]
        nodes.append(subprocess.Popen(command, cwd=folder, env=os.environ | shared | own))
    codes = [nodes[1].wait(timeout=300)]
    if codes[0]:
        nodes[0].kill()  # as torchrun does
    return [nodes[0].wait(timeout=300), *codes]


@pytest.mark.slow
@pytest.mark.usefixtures("bucket")
def test_a_node_that_is_lost_with_its_disk_is_replaced(settings, shards):
    text = settings.read_text().replace(shards, URL)
    for name in ("whole", "lost"):
        out = f'out = "s3://lake/runs/{name}"'
        lines = [out if line.startswith("out =") else line for line in text.splitlines()]
        settings.with_name(f"{name}.toml").write_text("\n".join(lines))
    assert two_nodes(settings.with_name("whole.toml")) == [0, 0]
    assert two_nodes(settings.with_name("lost.toml"), killed_at=5)[1] == 137
    shutil.rmtree("node-1")
    assert two_nodes(settings.with_name("lost.toml")) == [0, 0]
    runs = Path("node-0/runs/lake/runs")
    assert same(runs / "lost", runs / "whole")
    assert Path("node-1/runs/lake/runs/lost/step-000003").is_dir()
