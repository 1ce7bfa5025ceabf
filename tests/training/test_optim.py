import copy
import math

import pytest
import torch

from groupvit.training import optim
from groupvit.training.config import OptimConfig

CONFIG = OptimConfig(lr=1.0, first_lr=0.1, last_lr=0.01, warmup_steps=10)


@pytest.fixture
def model(tiny_model, tokens, draw):
    """A small model with gradients."""
    embeddings = tiny_model.train()(draw(3, 3, 32, 32), tokens[:, None])
    (embeddings.logit_scale * (embeddings.image.image @ embeddings.text[:, 0].T)).sum().backward()
    return tiny_model


def test_the_learning_rate_rises_in_a_straight_line():
    assert [optim.lr_at(step, CONFIG, 100) for step in (0, 6)] == [0.1, pytest.approx(0.55)]


def test_the_schedule_is_one_update_behind_so_that_the_first_two_are_alike():
    rates = [optim.lr_at(step, CONFIG, 100) for step in range(4)]
    assert rates == pytest.approx([0.1, 0.1, 0.19, 0.28])


def test_the_cosine_begins_at_step_0_and_ends_at_the_last_rate():
    assert optim.lr_at(11, CONFIG, 100) == pytest.approx(
        0.01 + 0.99 * (1 + math.cos(0.1 * math.pi)) / 2
    )
    assert optim.lr_at(51, CONFIG, 100) == pytest.approx(0.505)
    assert optim.lr_at(101, CONFIG, 100) == pytest.approx(0.01)


def test_the_learning_rate_is_that_of_the_release_after_its_warm_up():
    published = OptimConfig(warmup_steps=2 * 6997)
    assert optim.lr_at(2 * 6997 + 1, published, 209_910) == pytest.approx(1.583e-3, abs=1e-6)
    assert optim.lr_at(0, published, 209_910) == 4e-6


def test_a_run_without_warm_up_begins_at_the_highest_rate():
    config = OptimConfig(lr=1.0, warmup_steps=0)
    assert optim.lr_at(0, config, 10) == 1.0


def test_norms_and_biases_do_not_decay_and_all_else_does(tiny_model):
    decayed, undecayed = optim.optimizer_of(tiny_model, OptimConfig()).param_groups
    assert (decayed["weight_decay"], undecayed["weight_decay"]) == (0.05, 0.0)
    assert all(parameter.ndim == 1 for parameter in undecayed["params"])
    assert {"log_scale", "image_encoder.positions.weight"} <= set(decayed["param_names"])
    assert "image_encoder.stages.0.group_token" in decayed["param_names"]
    count = len(decayed["params"]) + len(undecayed["params"])
    assert count == len(list(tiny_model.parameters()))


def test_a_gradient_is_scaled_down_to_the_limit_only_if_it_is_longer(model):
    before = optim.clip(model, 1e9)
    assert optim.clip(model, 1e-3) == before
    assert optim.clip(model, 1.0).item() == pytest.approx(1e-3, rel=1e-3)


def test_frozen_text_leaves_the_rest_to_learn(tiny_model):
    optim.freeze(tiny_model, ["text"])
    frozen = {n.split(".")[0] for n, p in tiny_model.named_parameters() if not p.requires_grad}
    assert frozen == {"text_encoder", "text_projector"}


def test_all_but_the_groups_can_be_frozen(tiny_model):
    optim.freeze(tiny_model, ["all-but-groups"])
    learning = [n for n, p in tiny_model.named_parameters() if p.requires_grad]
    assert {".".join(name.split(".")[:4]) for name in learning if "grouping" not in name} == {
        "image_encoder.stages.0.group_token",
        "image_encoder.stages.1.group_token",
        "image_encoder.stages.1.group_projector",
    }
    assert any(".grouping.assign." in name for name in learning)


def test_batch_norms_of_frozen_parts_keep_their_statistics(tiny_model):
    optim.freeze(tiny_model, ["text"])
    optim.train_mode(tiny_model)
    assert not tiny_model.text_projector.norm.training
    assert tiny_model.image_projector.norm.training
    assert tiny_model.text_encoder.training


def test_frozen_parameters_are_none_of_the_optimizers(tiny_model):
    optim.freeze(tiny_model, ["text"])
    groups = optim.optimizer_of(tiny_model, OptimConfig()).param_groups
    assert not any(name.startswith("text") for group in groups for name in group["param_names"])


def test_an_optimizer_that_is_restored_goes_on_as_if_nothing_had_been(model):
    twin = copy.deepcopy(model)
    first, second = (optim.optimizer_of(one, OptimConfig()) for one in (model, twin))
    gradients = [parameter.grad for parameter in model.parameters()]
    first.step()
    twin.load_state_dict(model.state_dict())
    optim.restore(second, {name: t.clone() for name, t in optim.state_of(first).items()})
    for parameter, gradient in zip(twin.parameters(), gradients, strict=True):
        parameter.grad = gradient
    first.step()
    second.step()
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_learning_rate_is_set_for_all_parameters(tiny_model):
    optimizer = optim.optimizer_of(tiny_model, OptimConfig())
    optim.set_lr(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]
