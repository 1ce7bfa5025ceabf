from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves, tree_map

from groupvit.model.config import GroupViTConfig
from groupvit.model.groupvit import Projector, mean_embedding, project
from groupvit.weights.architecture import blank
from groupvit.weights.layouts import HUGGING_FACE, ORIGINAL


def count(part):
    return sum(parameter.numel() for parameter in part.parameters())


@pytest.fixture(scope="module")
def released():
    """The released architecture without values."""
    return blank(GroupViTConfig())


@pytest.fixture
def lively(tiny_config, build, enliven):
    return enliven(build(tiny_config), std=0.1)


@pytest.mark.parametrize(
    ("part", "number"),
    [
        ("", 55_726_610),
        ("image_encoder", 28_837_136),
        ("image_encoder.stages.0", 14_246_656),
        ("image_encoder.stages.0.grouping", 3_575_296),
        ("image_encoder.stages.1", 8_894_992),
        ("image_encoder.stages.1.grouping", 3_553_736),
        ("image_encoder.stages.2", 5_323_392),
        ("text_encoder", 22_145_792),
        ("image_projector", 2_633_984),
        ("text_projector", 2_109_696),
    ],
)
def test_the_released_model_has_as_many_parameters_as_the_original(released, part, number):
    assert count(released.get_submodule(part)) == number


def test_the_released_model_has_as_many_tensors_as_the_original(released):
    assert len(list(released.parameters())) == 401
    assert len(released.state_dict()) == len(ORIGINAL.from_ours(released.state_dict())) == 407
    assert len(HUGGING_FACE.from_ours(released.state_dict())) == 502


def test_only_the_multi_label_loss_needs_a_second_temperature():
    assert len(blank(GroupViTConfig(multi_label=False)).state_dict()) == 406


def test_embeddings_have_length_one(lively, draw, tokens):
    pairs = lively(draw(3, 3, 32, 32), tokens[:, None].expand(-1, 2, -1))
    image, text = pairs.image.image, pairs.text
    assert image.shape == (3, 16)
    assert text.shape == (3, 2, 16)
    torch.testing.assert_close(image.norm(dim=-1), torch.ones(3))
    torch.testing.assert_close(text.norm(dim=-1), torch.ones(3, 2))


def test_a_pass_over_both_is_a_pass_over_each(lively, draw, tokens):
    images = draw(3, 3, 32, 32)
    both = lively(images, tokens[:, None])
    assert torch.equal(both.image.image, lively.embed_image(images).image)
    text = torch.nn.functional.normalize(lively.encode_text(tokens), dim=-1)
    torch.testing.assert_close(both.text[:, 0], text)
    assert torch.equal(both.logit_scale, lively.logit_scale)


def test_captions_stay_with_their_image(lively, draw, tokens):
    captions = torch.stack([tokens, tokens.flip(0)], dim=1)
    text = lively(draw(3, 3, 32, 32), captions).text
    torch.testing.assert_close(text[:, 0], text[:, 1].flip(0), atol=1e-6, rtol=1e-6)


def test_a_segment_is_embedded_as_an_image_that_it_would_fill(lively, draw):
    features = lively.encode_image(draw(2, 3, 32, 32))
    pooled = features.segments[-1].mean(dim=1, keepdim=True)
    alike = features._replace(segments=(features.segments[0], pooled.expand(-1, 3, -1)))
    image, (*_, segments), *_ = lively.embed_features(alike)
    torch.testing.assert_close(segments, image[:, None].expand(-1, 3, -1))
    torch.testing.assert_close(image, lively.embed_features(features).image)


def test_each_segment_is_embedded_for_itself(lively, draw):
    segments = draw(2, 3, 32)
    embedded = project(lively.image_projector, segments)
    torch.testing.assert_close(project(lively.image_projector, segments[1:, 2:]), embedded[1:, 2:])


@pytest.mark.parametrize("num_stages", [0, 1, 2, None])
def test_only_the_requested_stages_are_projected_each_once(lively, draw, num_stages):
    features, calls = lively.encode_image(draw(2, 3, 32, 32)), []
    whole = lively.embed_features(features)
    lively.image_projector.register_forward_hook(lambda *_: calls.append(1))
    found = lively.embed_features(features, num_stages=num_stages)
    count = 2 if num_stages is None else num_stages
    assert len(found.segments) == count
    assert len(calls) == count + 1  # and the mean segment
    assert torch.equal(found.image, whole.image)
    for one, other in zip(found.segments[::-1], whole.segments[::-1], strict=False):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("log_scale", "scale"), [(0.0, 1.0), (2.0, 7.389056), (9.0, 100.0)])
def test_the_logit_scale_ends_at_a_hundred(tiny_model, log_scale, scale):
    tiny_model.log_scale.data.fill_(log_scale)
    assert tiny_model.logit_scale.item() == pytest.approx(scale)


def test_the_projector_norms_over_rows_in_training_only(draw):
    projector, rows = Projector(8, 12, 4), draw(5, 8)
    projector.eval()
    torch.testing.assert_close(projector(rows)[:2], projector(rows[:2]))
    projector.train()
    assert not torch.allclose(projector(rows)[:2], projector(rows[:2]))


def test_the_projector_is_linear_norm_relu_linear(draw, enliven):
    projector, rows = enliven(Projector(8, 12, 4), std=0.5).eval(), draw(5, 8)
    norm = projector.norm
    hidden = projector.fc1(rows) - norm.running_mean
    hidden = hidden / (norm.running_var + 1e-5).sqrt() * norm.weight + norm.bias
    torch.testing.assert_close(projector(rows), projector.fc2(hidden.clamp(min=0)))


def test_every_parameter_learns_from_images_and_texts(tiny_config, build, draw, tokens):
    model = build(replace(tiny_config, multi_label=False)).train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pairs = model(draw(3, 3, 32, 32), tokens[:, None])
    image, text, scale = pairs.image.image, pairs.text, pairs.logit_scale
    (scale * image @ text[:, 0].T * draw(3, 3, seed=1)).sum().backward()
    missing = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert missing == []
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_the_gradient_equals_that_of_a_slightly_moved_parameter(
    tiny_config, build, enliven, draw, tokens
):
    soft = replace(tiny_config, image=replace(tiny_config.image, grouping="soft"))
    model = enliven(build(soft), std=0.1).double()
    images, weight = draw(2, 3, 32, 32).double(), model.image_encoder.stages[0].group_token

    def loss():
        pairs = model(images, tokens[:2, None])
        return (pairs.logit_scale * pairs.image.image @ pairs.text[:, 0].T)[0, 1]

    loss().backward()
    with torch.no_grad():
        # Far enough that the rounding of assignments, which are in float32, does not count.
        weight[0, 0, 0] += 5e-4
        above = loss()
        weight[0, 0, 0] -= 1e-3
        below = loss()
    slope = (above - below).item() / 1e-3
    assert weight.grad[0, 0, 0].item() == pytest.approx(slope, rel=1e-2)


def test_autocast_leaves_the_assignments_in_float32(lively, draw, tokens):
    images = draw(2, 3, 32, 32)
    exact = lively.encode_image(images)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        features = lively.encode_image(images)
        text = lively.encode_text(tokens)
    assert text.dtype == torch.bfloat16
    for shares in features.assignments:
        assert shares.dtype == torch.float32
        torch.testing.assert_close(shares.sum(dim=1), torch.ones(2, shares.shape[2]))
    torch.testing.assert_close(features.assignments[0], exact.assignments[0], atol=0.05, rtol=0.1)


def test_a_whole_model_may_be_bfloat16(lively, draw, tokens):
    model = lively.to(torch.bfloat16)
    features = model.encode_image(draw(2, 3, 37, 53).bfloat16())
    assert features.segments[-1].dtype == torch.bfloat16
    assert model.embed_features(features).image.dtype == torch.float32
    assert model.encode_text(tokens).isfinite().all()


def test_autocast_trains_in_bfloat16(tiny_model, draw, tokens):
    tiny_model.train()
    with torch.random.fork_rng(devices=[]), torch.autocast("cpu", dtype=torch.bfloat16):
        torch.manual_seed(0)
        pairs = tiny_model(draw(3, 3, 32, 32), tokens[:, None])
        loss = (pairs.logit_scale * pairs.image.image @ pairs.text[:, 0].T).logsumexp(dim=1).sum()
    loss.backward()
    assert all(p.grad.isfinite().all() for p in tiny_model.parameters() if p.grad is not None)


def test_centered_embeddings_do_not_crowd_together(draw):
    torch.manual_seed(0)
    rows = draw(256, 16) + 2
    plain = F.normalize(Projector(16, 32, 8)(rows), dim=-1)
    centered = F.normalize(Projector(16, 32, 8, centered=True)(rows), dim=-1)
    assert (plain @ plain.T).mean() > 0.2
    assert (centered @ centered.T).mean().abs() < 0.02


def test_a_pooled_embedding_counts_only_segments_that_hold_something(draw):
    segments = F.normalize(draw(1, 3, 8), dim=-1)
    held = torch.tensor([[True, False, True]])
    expected = F.normalize(segments[0, 0] + segments[0, 2], dim=0)
    torch.testing.assert_close(mean_embedding(segments, held)[0], expected)


def of_levels(model, features, embedding):
    """The similarity of every patch to an embedding, level by level."""
    one, two = features.assignments
    first, last = (project(model.image_projector, x) @ embedding for x in features.segments)
    return [
        torch.einsum("bgt,bg->bt", one, first),
        torch.einsum("bhg,bgt,bh->bt", two, one, last),
    ]


@pytest.mark.parametrize("with_patches", [False, True])
def test_the_similarity_of_a_patch_is_the_mean_of_those_of_its_levels(
    tiny_config, build, enliven, draw, with_patches
):
    model = enliven(build(replace(tiny_config, patch_projector=with_patches)), std=0.1)
    with torch.no_grad():
        features = model.encode_image(draw(2, 3, 32, 32))
        word = F.normalize(draw(16), dim=0)
        levels = of_levels(model, features, word)
        if with_patches:
            rows = model.patch_projector(features.patches.flatten(0, 1))
            levels.append(F.normalize(rows, dim=-1).unflatten(0, (2, -1)) @ word)
        found = model.embed_features(features).patch_embeddings() @ word
    assert torch.allclose(found, torch.stack(levels).mean(dim=0), atol=1e-5)


@pytest.fixture
def repeated(tokens):
    """A caption and two prompts for each of three images, of three different texts."""
    return torch.stack([tokens, tokens[[1, 1, 0]], tokens[[1, 2, 2]]], dim=1)


def test_each_different_text_is_encoded_once(lively, draw, repeated):
    seen = []
    lively.text_encoder.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    _, texts = lively.encode(draw(3, 3, 32, 32), repeated)
    assert seen == [3]
    assert texts.shape == (3, 3, 32)
    assert torch.equal(texts[0, 1], texts[1, 0])


def test_features_depend_only_on_their_own_pair(lively, draw, repeated):
    images = draw(3, 3, 32, 32)
    whole = lively.encode(images, repeated)
    parts = [lively.encode(images[rows], repeated[rows]) for rows in (slice(2), slice(2, None))]
    joined = tree_map(lambda *tensors: torch.cat(tensors), *parts)
    for one, other in zip(tree_leaves(whole), tree_leaves(joined), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_an_image_may_be_the_mean_of_its_embedded_segments(
    tiny_config, build, enliven, draw, tokens
):
    pooled = replace(tiny_config, image=replace(tiny_config.image, pooling="embeddings"))
    model = enliven(build(pooled), std=0.1)
    image = model(draw(3, 3, 32, 32), tokens[:, None]).image
    expected = mean_embedding(image.segments[-1], image.occupied[-1])
    torch.testing.assert_close(image.image, expected)


def test_all_parameters_get_a_gradient(lively, draw, repeated):
    pairs = lively(draw(3, 3, 32, 32), repeated)
    scale = pairs.logit_scale * pairs.multi_label_logit_scale
    image, text = pairs.image.image, pairs.text
    loss = scale * (image * draw(*image.shape)).sum() + (text * draw(*text.shape, seed=1)).sum()
    loss.backward()
    assert all(parameter.grad is not None for parameter in lively.parameters())


def test_a_model_with_one_temperature_uses_it_for_both(tiny_config, build, draw, tokens):
    model = build(replace(tiny_config, multi_label=False))
    pairs = model(draw(3, 3, 32, 32), tokens[:, None])
    assert torch.equal(pairs.multi_label_logit_scale, pairs.logit_scale)


def test_each_temperature_ends_at_a_hundred(tiny_model, draw, tokens):
    tiny_model.log_scale.data.fill_(9.0)
    pairs = tiny_model(draw(3, 3, 32, 32), tokens[:, None])
    assert pairs.logit_scale.item() == 100
    assert pairs.multi_label_logit_scale.item() == pytest.approx(1 / 0.07)


def test_the_background_layer_comes_with_the_pairs(tiny_config, build, draw, tokens):
    assert build(tiny_config)(draw(3, 3, 32, 32), tokens[:, None]).background is None
    model = build(replace(tiny_config, background_layer=True))
    found = model(draw(3, 3, 32, 32), tokens[:, None]).background
    expected = torch.cat([model.background_layer.weight[0], model.background_layer.bias])
    assert torch.equal(found, expected)


def test_under_autocast_embeddings_are_normalized_in_float32(lively, draw, repeated):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pairs = lively.train()(draw(3, 3, 32, 32), repeated)
    for embedding in (pairs.image.image, pairs.text, *pairs.image.segments):
        assert embedding.dtype == torch.float32
        torch.testing.assert_close(embedding.norm(dim=-1), torch.ones(embedding.shape[:-1]))
