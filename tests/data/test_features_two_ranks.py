"""A cache of trunk features that two processes write together."""

import pytest
import torch

from groupvit import distributed
from groupvit.data import feature_writing, index, patterns
from groupvit.data.config import DataConfig
from groupvit.data.features import FeatureCache, Manifest, digest
from groupvit.distributed import Ranks
from groupvit.model.efficientnet import Classifier, EfficientNetLite
from groupvit.weights.efficientnet import Pretrained
from tests.data.pairs import write_shards

pytestmark = pytest.mark.slow
SHARDS = "train-{000..002}.tar"


def write(folder, name, ranks):
    torch.manual_seed(0)
    pretrained = Pretrained(EfficientNetLite("lite0").eval(), Classifier().eval())
    config = DataConfig(shards=(str(folder / "pairs" / SHARDS),), cached_crops=2)
    shards = index.prepare(patterns.expand(config.shards), "pattern")
    manifest = Manifest.of(config, "lite0", digest(pretrained), seed=0, image_size=32)
    cache = FeatureCache(folder / name, manifest, shards)
    cache.check(rebuild=False)
    calls = []
    feature_writing.write(
        cache, pretrained, config, ranks, on_progress=lambda *done: calls.append(done)
    )
    return calls[-1]


def before_ranks(folder):
    write_shards(folder / "pairs", 3, 4, 2)


def on_each_rank(folder):
    with distributed.session("cpu") as ranks:
        return write(folder, "together", ranks)


def test_two_ranks_write_what_one_does(both_ranks, ranks_folder):
    assert both_ranks == [(5, 5), (4, 4)]
    with torch.random.fork_rng(devices=[]):
        write(ranks_folder, "alone", Ranks())
    names = sorted(path.name for path in (ranks_folder / "alone").iterdir())
    assert len(names) == 4
    for name in names:
        together, alone = (ranks_folder / one / name for one in ("together", "alone"))
        assert together.read_bytes() == alone.read_bytes()
