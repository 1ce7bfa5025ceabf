"""Ray as the engine: the results are those of one process, also after actors were killed."""

import os
import signal

import pytest

from groupvit.bulk import engines, ray_engine, run, shards
from groupvit.bulk.worker import Job
from groupvit.segmentation.segmenter import Segmenter
from tests.bulk.conftest import contents, jpeg, write_tar

LABELS = ("dog", "cat", "grass")


class LoadAndDie:
    """Loads the model; the first process that does so for a marker is killed at a shard."""

    def __init__(self, model, marker=None):
        self.model, self.marker = str(model), marker

    def __call__(self, _device):
        segmenter = Segmenter.load(self.model, batch_size=2)
        if self.marker is not None and not self.marker.exists():
            self.marker.touch()
            segmenter.label = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
        return segmenter


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_actor_loses_no_shard(model, tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")  # it has no wheel for every Python
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "600")  # for machines under load
    for shard in range(4):
        write_tar(tmp_path / f"in/s-{shard}.tar", {f"{i}": jpeg(3 * shard + i) for i in range(2)})
    found = shards.find([str(tmp_path / "in/*.tar")], shard_size=1).shards

    def job(out, marker=None):
        return Job(
            load=LoadAndDie(model, marker),
            labels=LABELS,
            background=None,
            top_labels=None,
            out=str(tmp_path / out),
            output="parquet",
        )

    assert run.segment(job("one"), found, engines.here).num_images == 8
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        summary = run.segment(job("ray", tmp_path / "marker"), found, ray_engine.run)
    finally:
        ray.shutdown()
    assert (tmp_path / "marker").exists()
    assert (summary.errors, summary.num_shards, summary.num_images) == ({}, 4, 8)
    assert contents(tmp_path / "ray") == contents(tmp_path / "one")
