"""Two processes that share the images come to what one does alone."""

import numpy as np
import pytest
import torch

from groupvit.distributed import session
from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.evaluation.evaluate import evaluate
from groupvit.evaluation.journal import Journal
from groupvit.evaluation.measurement import Measurement
from groupvit.segmentation.segmenter import Segmenter
from tests import lively
from tests.ranks import WORLD_SIZE

SCENES = Scenes(num=5, size=24)


def measured(ranks=None, folder=None):
    segmenter = Segmenter(lively.lively_model(), batch_size=2)
    return evaluate(segmenter, SCENES, ranks=ranks, folder=folder)


def values(found):
    kept = found.to_values()
    del kept["seconds"]
    return kept


def on_each_rank(folder):
    with session("cpu") as ranks:
        found = measured(ranks, folder / "journal")
        return {
            "miou": found.scores.miou,
            "confusion": torch.from_numpy(found.confusion),
            "values": repr(values(found)),
        }


@pytest.mark.slow
def test_every_rank_has_the_scores_of_all(both_ranks, ranks_folder):
    alone = measured()
    for told in both_ranks:
        assert told["miou"] == alone.scores.miou
        np.testing.assert_array_equal(told["confusion"].numpy(), alone.confusion)
        assert told["values"] == repr(values(alone))
    files = sorted(path.name for path in (ranks_folder / "journal").iterdir())
    assert files == [f"images-{rank}.jsonl" for rank in range(WORLD_SIZE)]
    segmenter = Segmenter(lively.lively_model())
    journal = Journal(ranks_folder / "journal", Measurement.of(segmenter, SCENES), "")
    assert sorted(one.index for one in journal.done) == [0, 1, 2, 3, 4]
