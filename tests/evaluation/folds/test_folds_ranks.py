"""Two processes that share the images of a fold come to what one does alone."""

import pytest

from groupvit.distributed import session
from groupvit.evaluation.folds import readers
from groupvit.evaluation.folds.cutting import shown_in
from groupvit.evaluation.folds.evaluate import Rules, evaluate_part
from groupvit.evaluation.folds.others import Others
from groupvit.segmentation.segmenter import Segmenter
from tests import lively


def measured(ranks=None, folder=None):
    segmenter = Segmenter(lively.lively_model(), batch_size=2)
    folded = readers.storybook(8, shown_in)
    part = folded.test(folded.folds[0])
    rules = Rules(others=Others(words=("others",)))
    found = evaluate_part(segmenter, folded, part, rules, ranks=ranks, folder=folder)
    values = found.to_values()
    return {name: value for name, value in values.items() if name != "seconds"}


def on_each_rank(folder):
    with session("cpu") as ranks:
        return {"values": repr(measured(ranks, folder / "journal"))}


@pytest.mark.slow
def test_every_rank_has_the_scores_of_all(both_ranks, ranks_folder):
    alone = repr(measured())
    assert [one["values"] for one in both_ranks] == [alone, alone]
    files = sorted(path.name for path in (ranks_folder / "journal").iterdir())
    assert files == ["images-0.jsonl", "images-1.jsonl"]
