"""Plans hold to what steps really consist of."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from groupvit.data.config import DataConfig
from groupvit.model.config import GroupViTConfig
from groupvit.training.accelerators import ACCELERATORS
from groupvit.training.config import TrainingConfig
from groupvit.training.planning import data_of, plan, seconds_here, work_of


@pytest.fixture
def without_shards(config):
    return replace(config, data=replace(config.data, shards=("nowhere.tar",)))


def test_shards_are_looked_into_when_there_are_some(config):
    data = data_of(config)
    assert not data.missing
    assert data.num_pairs > len(data.batch.images) == config.data.batch_size
    assert data.seconds > 0
    assert data.size > 100


def test_without_shards_the_texts_are_made_up_and_that_is_told(without_shards):
    data = data_of(without_shards)
    assert "nowhere.tar" in data.missing
    assert data.num_pairs is None
    lengths = data.batch.tokens.argmax(dim=-1) + 1
    assert (lengths[:, 0] == 16).all()
    assert (lengths[:, 1:] == 9).all()


RELEASED = TrainingConfig(data=DataConfig(batch_size=8), model=GroupViTConfig())


def reference(passes):
    """Operations of the released size for a pair; each pass multiplies and adds."""
    image, text = 3.96e9, 4 * 16 / 77 * 0.763e9  # multiplications and additions, forward
    return pytest.approx(2 * passes * (image + text), rel=0.03)


@pytest.mark.slow
@pytest.mark.nightly
def test_operations_of_the_released_size_are_those_of_the_reference():
    work = work_of(RELEASED, data_of(RELEASED).batch)
    assert work.operations / work.pairs == reference(passes=3)


@pytest.mark.slow
def test_gradient_caching_at_the_released_size_goes_forward_twice_and_keeps_little():
    config = replace(RELEASED, chunk=4)
    work = work_of(config, data_of(config).batch)
    assert work.operations / work.pairs == reference(passes=4)
    assert work.encodings / work.pairs == pytest.approx(0.07e6, rel=0.05)  # training/step.py


def test_frozen_texts_are_only_read(without_shards):
    batch = data_of(without_shards).batch
    whole, frozen = (
        work_of(replace(without_shards, freeze=parts), batch) for parts in ((), ("text",))
    )
    assert 0 < frozen.operations < whole.operations
    assert frozen.gradients < whole.gradients
    assert frozen.activations < whole.activations


def test_work_grows_with_the_batch_and_not_with_the_precision(without_shards):
    batch = data_of(without_shards).batch
    once = work_of(without_shards, batch)
    twice = work_of(without_shards, type(batch)(*(torch.cat([x, x]) for x in batch[:4]), 0))
    assert twice.activations == pytest.approx(2 * once.activations, rel=0.01)
    assert once.operations < twice.operations <= 2 * once.operations  # repeated texts are free
    other = replace(without_shards, precision="bfloat16")
    assert work_of(other, batch).operations == once.operations
    assert work_of(other, batch).activations < once.activations


def test_gradient_caching_takes_operations_and_gives_memory(without_shards):
    batch = data_of(without_shards).batch
    plain = work_of(without_shards, batch)
    cached = work_of(replace(without_shards, chunk=2), batch)
    assert 1.2 < cached.operations / plain.operations < 1.4
    share = 2 / len(batch.images)
    assert cached.activations == pytest.approx(plain.activations * share, rel=0.01)
    assert cached.encodings > 0 == plain.encodings


def test_devices_exchange_gradients_and_embeddings(without_shards):
    work = work_of(without_shards, data_of(without_shards).batch)
    assert work.exchanged(1) == 0
    assert work.exchanged(2) == work.gradients + 2 * work.embeddings
    assert work.memory(2) > work.memory(1)


def test_a_plan_divides_operations_by_what_the_device_reaches(without_shards):
    found = plan(without_shards, ACCELERATORS["h200"], devices=4, efficiency=0.5, link=50.0)
    assert found.step == pytest.approx(found.work.operations / (0.5 * 67e12))
    assert found.rate * found.seconds == pytest.approx(
        found.steps * 4 * without_shards.data.batch_size
    )


def test_a_step_here_is_timed(config):
    assert 0 < seconds_here(config, data_of(config).batch, steps=1) < 60


def test_counting_leaves_no_counter_behind(without_shards):
    work_of(without_shards, data_of(without_shards).batch)
    with FlopCounterMode(display=False) as counter:
        torch.ones(2, 3) @ torch.ones(3, 4)
    assert counter.get_total_flops() == 2 * 2 * 3 * 4
