import numpy as np
import pytest

from groupvit.data.order import Order

SIZES = (30, 0, 7, 50, 1, 12)


def visited(order, epoch, positions=None):
    found = order.locate(epoch, range(len(order)) if positions is None else positions)
    return list(zip(found.shards.tolist(), found.samples.tolist(), strict=True))


@pytest.fixture
def order():
    return Order(sizes=SIZES, seed=3, block=8, window=3)


@pytest.mark.parametrize(("block", "window"), [(8, 3), (1, 1), (5, 100), (1024, 8)])
def test_every_sample_is_visited_once_in_an_epoch(block, window):
    order = Order(sizes=SIZES, seed=0, block=block, window=window)
    every = [(shard, n) for shard, size in enumerate(SIZES) for n in range(size)]
    for epoch in range(3):
        assert sorted(visited(order, epoch)) == every


def test_epochs_and_seeds_have_orders_of_their_own(order):
    other = Order(sizes=SIZES, seed=4, block=8, window=3)
    assert visited(order, 0) == visited(Order(sizes=SIZES, seed=3, block=8, window=3), 0)
    assert visited(order, 0) != visited(order, 1)
    assert visited(order, 0) != visited(other, 0)


def test_positions_may_come_in_any_parts(order):
    whole = visited(order, 2)
    parts = [visited(order, 2, range(start, min(start + 7, 100))) for start in range(0, 100, 7)]
    assert [location for part in parts for location in part] == whole
    assert visited(order, 2, [99, 0, 50]) == [whole[99], whole[0], whole[50]]


def test_a_window_reads_few_stretches_of_the_shards(order):
    blocks = [(shard, sample // 8) for shard, sample in visited(order, 0)]
    sizes = [min(8, SIZES[shard] - 8 * block) for shard, block in dict.fromkeys(blocks)]
    window = sum(sizes[:3])
    assert len(set(blocks[:window])) == 3
    assert not set(blocks[:window]) & set(blocks[window:])


def test_samples_of_a_window_are_mixed():
    order = Order(sizes=(1000,), seed=0, block=100, window=5)
    samples = np.array([sample for _, sample in visited(order, 0)])
    assert abs(np.corrcoef(samples[:-1], samples[1:])[0, 1]) < 0.15


def test_millions_of_samples_need_no_list_of_them():
    order = Order(sizes=(10_000,) * 2867, seed=0)
    first = order.locate(0, range(4096))
    last = order.locate(0, range(len(order) - 4096, len(order)))
    assert len({*zip(*map(tuple, first), strict=True)}) == 4096
    assert len({*zip(*map(tuple, last), strict=True)}) == 4096
