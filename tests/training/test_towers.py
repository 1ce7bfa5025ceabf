import copy
from dataclasses import replace

import pytest
import torch

from groupvit.model.config import GroupingConfig
from groupvit.training.towers import Encoded, Heads, Towers, join


@pytest.fixture
def quiet(tiny_config):
    """The tiny model without anything random in training."""
    image = replace(tiny_config.image, drop_path=0.0, grouping=GroupingConfig(noise=False))
    return replace(tiny_config, image=image)


@pytest.fixture
def lively(quiet, build, enliven):
    return enliven(build(quiet), std=0.1).train()


@pytest.fixture
def repeated(tokens):
    """A caption and two prompts for each of three images, five different texts' worth of three."""
    return torch.stack([tokens, tokens[[1, 1, 0]], tokens[[1, 2, 2]]], dim=1)


def gradients(model):
    return {
        name: parameter.grad
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def weighed(image, text, scale, draw):
    """A number that depends on every value."""
    loss = scale * (image * draw(*image.shape)).sum() + (text * draw(*text.shape, seed=1)).sum()
    return loss.double()


def test_towers_and_heads_are_the_model_in_value_gradient_and_statistics(lively, draw, repeated):
    images, other = draw(3, 3, 32, 32), copy.deepcopy(lively)
    plain = lively(images, repeated)
    projected = Heads(other)(Towers(other)(images, repeated))
    torch.testing.assert_close(projected.image, plain.image)
    torch.testing.assert_close(projected.text, plain.text)
    assert torch.equal(projected.logit_scale, plain.logit_scale)
    weighed(plain.image, plain.text, plain.logit_scale, draw).backward()
    weighed(projected.image, projected.text, projected.logit_scale, draw).backward()
    torch.testing.assert_close(gradients(other), gradients(lively), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(dict(other.named_buffers()), dict(lively.named_buffers()))


def test_each_different_text_is_encoded_once(lively, draw, repeated):
    seen = []
    lively.text_encoder.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    encoded = Towers(lively)(draw(3, 3, 32, 32), repeated)
    assert seen == [3]
    assert encoded.text.shape == (3, 3, 32)
    assert torch.equal(encoded.text[0, 1], encoded.text[1, 0])


def test_encodings_know_only_their_own_pair(lively, draw, repeated):
    images, towers = draw(3, 3, 32, 32), Towers(lively)
    whole = towers(images, repeated)
    parts = join([towers(images[:2], repeated[:2]), towers(images[2:], repeated[2:])])
    for one, other in zip(whole.tensors(), parts.tensors(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_joining_pieces_gives_every_tensor_of_the_whole(draw):
    assignments = (draw(5, 6, 9), draw(5, 3, 6))
    whole = Encoded(
        draw(5, 4), draw(5, 3, 4), assignments, draw(5, 2, 4), draw(5, 9, 4), (draw(5, 6, 4),)
    )
    first, second = (
        Encoded(
            whole.pooled[rows],
            whole.segments[rows],
            tuple(stage[rows] for stage in whole.assignments),
            whole.text[rows],
            whole.tokens[rows],
            (whole.earlier[0][rows],),
        )
        for rows in (slice(2), slice(2, None))
    )
    joined = join([first, second])
    assert len(joined.tensors()) == 7
    assert all(map(torch.equal, joined.tensors(), whole.tensors()))


def test_images_may_be_the_mean_of_their_embedded_segments(quiet, build, enliven, draw, tokens):
    config = replace(quiet, image=replace(quiet.image, pooling="embeddings"))
    model = enliven(build(config), std=0.1)
    images = draw(3, 3, 32, 32)
    projected = Heads(model)(Towers(model)(images, tokens[:, None]))
    features = model.encode_image(images)
    torch.testing.assert_close(projected.image, features.embedding)
    torch.testing.assert_close(projected.segments, model.embed_segments(features.segments))


def test_parts_are_the_models_own_under_its_names(tiny_model):
    towers, heads = Towers(tiny_model).state_dict(), Heads(tiny_model).state_dict()
    assert towers.keys() | heads.keys() == tiny_model.state_dict().keys()
    assert not towers.keys() & heads.keys()


def test_all_parameters_get_a_gradient(lively, draw, repeated):
    image, text, *_, first, second = Heads(lively)(Towers(lively)(draw(3, 3, 32, 32), repeated))
    weighed(image, text, first * second, draw).backward()
    assert gradients(lively).keys() == dict(lively.named_parameters()).keys()


def test_without_prompts_the_second_temperature_stays_out(tiny_model):
    names = {name for name, _ in Heads(tiny_model, with_prompts=False).named_parameters()}
    assert "log_scale" in names
    assert "multi_label_log_scale" not in names


def test_a_model_with_one_temperature_uses_it_for_both(tiny_config, build, draw, tokens):
    model = build(replace(tiny_config, multi_label=False))
    projected = Heads(model)(Towers(model)(draw(3, 3, 32, 32), tokens[:, None]))
    assert torch.equal(projected.multi_label_logit_scale, projected.logit_scale)


def test_temperatures_end_at_a_hundred(tiny_model, draw, tokens):
    tiny_model.log_scale.data.fill_(9.0)
    projected = Heads(tiny_model)(Towers(tiny_model)(draw(3, 3, 32, 32), tokens[:, None]))
    assert projected.logit_scale.item() == 100
    assert projected.multi_label_logit_scale.item() == pytest.approx(1 / 0.07)


def test_under_autocast_embeddings_are_normalized_in_float32(lively, draw, repeated):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        projected = Heads(lively)(Towers(lively)(draw(3, 3, 32, 32), repeated))
    for embedding in (projected.image, projected.text):
        assert embedding.dtype == torch.float32
        torch.testing.assert_close(embedding.norm(dim=-1), torch.ones(embedding.shape[:-1]))
