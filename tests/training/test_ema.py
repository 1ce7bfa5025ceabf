import copy

import pytest
import torch

from groupvit.training.ema import EMA, decay_at


@pytest.fixture
def moved(tiny_model, enliven):
    """The small model with other weights."""
    return enliven(copy.deepcopy(tiny_model), seed=1)


def test_the_average_moves_by_its_decay(tiny_model, moved):
    average = EMA(tiny_model, 0.9)
    average.update(moved, step=1_000_000)
    old, new, kept = (dict(m.named_parameters()) for m in (tiny_model, moved, average.model))
    for name, value in kept.items():
        torch.testing.assert_close(value, 0.9 * old[name] + 0.1 * new[name])


def test_many_updates_weigh_each_step_by_how_long_ago_it_was(tiny_model, build, tiny_config):
    models = [build(tiny_config, seed) for seed in range(3)]
    average = EMA(tiny_model, 0.5)
    for model in models:
        average.update(model, step=1000)
    values = [m.text_encoder.tokens.weight for m in (tiny_model, *models)]
    weighted = sum(w * v for w, v in zip((1 / 8, 1 / 8, 1 / 4, 1 / 2), values, strict=True))
    torch.testing.assert_close(average.model.text_encoder.tokens.weight, weighted)


def test_equal_weights_stay_exactly_as_they_are(tiny_model):
    average = EMA(tiny_model, 0.7)
    average.update(tiny_model, step=100)
    for name, value in average.model.state_dict().items():
        assert torch.equal(value, tiny_model.state_dict()[name])


def test_statistics_are_copied(tiny_model, moved):
    average = EMA(tiny_model, 0.9)
    average.update(moved, step=1_000_000)
    for kept, new in zip(average.model.buffers(), moved.buffers(), strict=True):
        assert torch.equal(kept, new)


def test_the_memory_grows_with_the_steps():
    assert decay_at(0, 0.999) == pytest.approx(0.1)
    assert decay_at(10**6, 0.999) == 0.999
    decays = [decay_at(step, 0.999) for step in range(100)]
    assert decays == sorted(decays)


def test_an_average_neither_learns_nor_trains(tiny_model):
    average = EMA(tiny_model.train(), 0.9)
    assert not average.model.training
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
    assert tiny_model.training
