import copy
from dataclasses import replace

import pytest
import torch
from torch.utils._pytree import tree_leaves, tree_map

from groupvit.data.batch import Batch
from groupvit.distributed import Ranks
from groupvit.training.config import ObjectiveConfig
from groupvit.training.objective import objective
from groupvit.training.step import forward_backward, passes_of
from tests.lively import without_noise

CODE, PAPER = ObjectiveConfig(), ObjectiveConfig(form="paper", multi_label_weight=0.5)
SIZE = 7


@pytest.fixture
def lively(tiny_config, build, enliven):
    """Makes a lively model in training mode, with or without what is random in training."""

    def make(*, noise):
        drop_path = 0.4 if noise else 0.0
        image = replace(tiny_config.image, drop_path=drop_path)
        model = enliven(build(replace(tiny_config, image=image)), std=0.1).train()
        return model if noise else without_noise(model)

    return make


@pytest.fixture
def images(draw):
    return draw(SIZE, 3, 32, 32)


@pytest.fixture
def batch(tokens):
    """A caption and two prompts for each image, some of them the same."""
    texts = tokens[torch.tensor([[0, 1, 2], [1, 1, 0], [2, 0, 0], [0, 2, 1]])]
    texts = texts[torch.tensor([0, 1, 2, 3, 1, 0, 2])]
    # Captions differ: among equal ones, rounding would decide which is the nearest.
    texts[:, 0, 1] = torch.arange(1, SIZE + 1)
    ids = torch.ones(SIZE, 16, dtype=torch.long)
    return Batch(torch.zeros(SIZE, 3, 32, 32).byte(), texts, ids[:, :2], ids, 0)


@pytest.fixture(autouse=True)
def own_noise():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        yield


def step(model, images, batch, config=CODE, *, chunk=0, autocast=None):
    """A step's result, the gradients that it leaves, and the buffers."""
    images = images.to(model.log_scale.dtype)
    passes = passes_of(model, Ranks(), config, chunk=chunk)
    result = forward_backward(passes, images, batch, config, Ranks(), autocast=autocast)
    gradients = {
        name: parameter.grad
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    return result, gradients, dict(model.named_buffers())


def assert_same_step(one, other, *, relative):
    """Losses, gradients (by their lengths) and running statistics are equal."""
    torch.testing.assert_close(one[0].losses, other[0].losses, rtol=relative, atol=0)
    torch.testing.assert_close(one[0].group_usage, other[0].group_usage)
    assert one[0].accuracy == other[0].accuracy
    assert one[1].keys() == other[1].keys()
    largest = max(gradient.norm() for gradient in one[1].values())
    for name, gradient in one[1].items():
        away = (gradient - other[1][name]).norm()
        assert away <= relative * (gradient.norm() + 1e-3 * largest), name
    torch.testing.assert_close(one[2], other[2])


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
@pytest.mark.parametrize("config", [CODE, PAPER])
def test_pieces_give_the_gradient_of_the_whole(lively, images, batch, chunk, config):
    model = lively(noise=False).double()
    other = copy.deepcopy(model)
    whole = step(model, images, batch, config)
    assert_same_step(whole, step(other, images, batch, config, chunk=chunk), relative=1e-5)


def test_one_piece_is_the_plain_step_noise_and_all(lively, images, batch):
    model = lively(noise=True)
    other = copy.deepcopy(model)
    state = torch.get_rng_state()
    plain = step(model, images, batch)
    after = torch.get_rng_state()
    torch.set_rng_state(state)
    assert_same_step(plain, step(other, images, batch, chunk=SIZE), relative=1e-6)
    assert torch.equal(torch.get_rng_state(), after)


@pytest.mark.parametrize("autocast", [None, torch.bfloat16])
def test_both_passes_draw_the_same_noise(lively, images, batch, autocast):
    model, encoded = lively(noise=True), []
    for encoder in (model.image_encoder, model.text_encoder):
        encoder.register_forward_hook(lambda _, __, found: encoded.append(found))
    step(model, images, batch, chunk=3, autocast=autocast)
    first, second = encoded[:6], encoded[6:]
    for one, other in zip(first, second, strict=True):
        assert all(map(torch.equal, tree_leaves(one), tree_leaves(other)))


def test_with_noise_the_gradient_is_that_of_all_pieces_in_one_graph(lively, images, batch):
    model = lively(noise=True)
    other, state = copy.deepcopy(model), torch.get_rng_state()
    found, gradients, _ = step(model, images, batch, chunk=3)
    torch.set_rng_state(state)
    chunks = (slice(3), slice(3, 6), slice(6, 7))
    encoded = [other.encode(images[chunk], batch.tokens[chunk]) for chunk in chunks]
    joined = tree_map(lambda *tensors: torch.cat(tensors), *encoded)
    total = objective(other.embed(*joined, num_stages=0), batch, CODE, Ranks()).total
    total.backward()
    torch.testing.assert_close(found.losses["total"], total.detach())
    for name, parameter in other.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-4, atol=1e-6)


def test_noise_is_new_in_every_step(lively, images, batch):
    model = lively(noise=True)
    losses = [step(model, images, batch, chunk=3)[0].losses["total"] for _ in range(2)]
    assert losses[0] != losses[1]


def test_running_statistics_count_a_batch_once(lively, images, batch):
    *_, buffers = step(lively(noise=True), images, batch, chunk=2)
    assert buffers["image_projector.norm.num_batches_tracked"] == 1
    assert buffers["text_projector.norm.num_batches_tracked"] == 1


@pytest.mark.parametrize("chunk", [0, 3])
def test_gradients_are_added_to_those_before(lively, images, batch, chunk):
    model = lively(noise=False)
    once = {k: v.clone() for k, v in step(model, images, batch, chunk=chunk)[1].items()}
    twice = step(model, images, batch, chunk=chunk)[1]
    for name, gradient in once.items():
        torch.testing.assert_close(twice[name], 2 * gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("chunk", [0, 3])
def test_frozen_texts_stay_without_gradient(lively, images, batch, chunk):
    model = lively(noise=False)
    model.text_encoder.requires_grad_(False)
    _, gradients, _ = step(model, images, batch, chunk=chunk)
    assert "image_encoder.patches.proj.weight" in gradients
    assert not any(name.startswith("text_encoder") for name in gradients)


@pytest.mark.parametrize("chunk", [0, 3])
def test_without_prompts_there_is_one_loss_and_one_temperature(lively, images, batch, chunk):
    captions = batch._replace(tokens=batch.tokens[:, :1], prompt_nouns=batch.prompt_nouns[:, :0])
    result, gradients, _ = step(lively(noise=False), images, captions, chunk=chunk)
    assert result.losses.keys() == {"caption", "total"}
    assert "multi_label_log_scale" not in gradients


def test_each_chunk_keeps_only_what_the_projectors_need(lively, images, batch):
    model, kept = lively(noise=False), []
    embed = model.embed
    model.embed = lambda features, texts, **options: (
        kept.append(features),
        embed(features, texts, **options),
    )[1]
    step(model, images, batch, chunk=3)
    [features] = kept
    assert features.patches.numel() == 0
    assert [segments.shape[1] for segments in features.segments] == [3]
    assert len(features.assignments) == len(features.occupied) == 2


def test_weights_and_parts_make_the_total(lively, images, batch):
    config = ObjectiveConfig(caption="sigmoid", caption_weight=0.25, multi_label_weight=3.0)
    losses = step(lively(noise=False), images, batch, config)[0].losses
    expected = 0.25 * losses["caption"] + 3 * losses["multi_label"]
    torch.testing.assert_close(losses["total"], expected)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused(weight):
    with pytest.raises(ValueError, match="multi_label_weight is"):
        ObjectiveConfig(multi_label_weight=weight)


@pytest.mark.parametrize("chunk", [0, 3])
def test_autocast_trains_every_parameter_in_float32(lively, images, batch, chunk):
    model = lively(noise=True)
    result, gradients, _ = step(model, images, batch, chunk=chunk, autocast=torch.bfloat16)
    assert result.losses["total"].dtype == torch.float32
    assert gradients.keys() == dict(model.named_parameters()).keys()
    assert all(gradient.isfinite().all() for gradient in gradients.values())
