from dataclasses import replace

import pytest

from groupvit.errors import InputError
from groupvit.training.agreement import View, compare
from groupvit.training.checkpoints import Progress


@pytest.fixture
def view(config):
    """Everything that a rank begins with, at a step."""
    return View(config, ((3, 6), (4, 8)), "step-000009", Progress(global_batch_size=8, step=9))


def test_ranks_that_begin_alike_agree(view, config):
    local = replace(config, device="auto", out="elsewhere")
    compare([view])
    compare([view, view._replace(config=local), view])
    new = view._replace(checkpoint=None, progress=None)
    compare([new, new])


def test_ranks_with_other_checkpoints_are_refused(view):
    new = view._replace(checkpoint=None, progress=None)
    older = view._replace(checkpoint="step-000001", progress=Progress(global_batch_size=8, step=1))
    other = view._replace(progress=Progress(global_batch_size=8, step=9, skipped=1))
    sentence = (
        r"from step-000009 \(step 9\) and rank 1 from step-000001 \(step 1\); put the run fol"
    )
    with pytest.raises(InputError, match=sentence):
        compare([view, older])
    with pytest.raises(InputError, match=r"resumes from no checkpoint and rank 2 from step-000009"):
        compare([new, new, view])
    with pytest.raises(InputError, match="rank 0 resumes from step-000009"):
        compare([view, other])


def test_ranks_with_other_settings_or_shards_are_refused(view, config):
    with pytest.raises(InputError, match="seed is 3 on rank 0 and 9 on rank 1; give one"):
        compare([view, view._replace(config=replace(config, seed=9))])
    with pytest.raises(
        InputError, match="rank 1 reads other shards or folders with masks than rank 0"
    ):
        compare([view, view._replace(sizes=((4, 8), (3, 6)))])
