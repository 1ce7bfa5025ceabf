from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from groupvit.data.weighted_order import WeightedOrder

ORDER = WeightedOrder(sizes=((5, 2), (3,)), weights=(3.0, 1.0), seed=4, epoch=8)


def located(order, positions, epoch=0):
    found = order.locate(epoch, positions)
    return list(zip(found.shards.tolist(), found.samples.tolist(), strict=True))


def test_sources_get_their_weights_in_every_stretch():
    places = located(ORDER, range(400))
    for first in range(0, 400, 40):
        counts = Counter(shard == 2 for shard, _ in places[first : first + 40])
        assert counts == {False: 30, True: 10}


@pytest.mark.parametrize(("shards", "size"), [({0, 1}, 7), ({2}, 3)])
def test_each_source_visits_all_of_its_samples_before_any_again(shards, size):
    own = [one for one in located(ORDER, range(400)) if one[0] in shards]
    turns = [own[first : first + size] for first in range(0, len(own) - size, size)]
    assert {frozenset(turn) for turn in turns} == {frozenset(own[:size])}
    assert all(len(set(turn)) == size for turn in turns)
    assert len({tuple(turn) for turn in turns}) > 1


def test_positions_may_be_asked_in_any_parts_and_epochs():
    whole = located(ORDER, range(80))
    parts = [
        located(ORDER, range(first, first + 4), epoch) for epoch in range(10) for first in (0, 4)
    ]
    assert [one for part in parts for one in part] == whole
    assert located(ORDER, [7, 3], 5) == [whole[47], whole[43]]


def test_the_seed_decides_the_order():
    other = replace(ORDER, seed=5)
    assert located(other, range(40)) != located(ORDER, range(40))


def test_sources_of_equal_sizes_have_orders_of_their_own():
    found = WeightedOrder(sizes=((50,), (50,)), weights=(1.0, 1.0), seed=0, epoch=100).locate(
        0, range(100)
    )
    assert not np.array_equal(found.samples[found.shards == 0], found.samples[found.shards == 1])
