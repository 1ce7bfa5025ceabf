from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from groupvit.model.config import GroupViTConfig, ImageEncoderConfig
from groupvit.model.cues import MERGED_PARTS, SMALL_PARTS, cues, reduced
from groupvit.model.efficientnet import Middle
from groupvit.model.groupvit import GroupViT
from groupvit.model.part_encoder import PartEncoder
from groupvit.model.rounds import group_by_rounds, merge, parts
from tests.trunks import TRUNK_CONFIG, trunk_model


@pytest.fixture(scope="module")
def model():
    return trunk_model()


@pytest.fixture
def images(draw):
    """Two images whose sides are multiples of 8 and not of 16."""
    return draw(2, 3, 72, 104)


def _plain(encoder, images):
    """Tokens "batch token dim" and both assignments, written out."""
    taps = encoder.trunk.lower(images)
    upper = encoder.trunk.upper(taps.middle)
    maps = []
    for features, reduction in ((upper.head, encoder.of_head), (taps.middle, encoder.of_middle)):
        norm, _, conv = reduction
        mean, var = norm.running_mean[:, None, None], norm.running_var[:, None, None]
        normed = (features - mean) / (var + norm.eps).sqrt()
        maps.append(torch.einsum("bdhw,ed->behw", normed, conv.weight[:, :, 0, 0]))
    head = F.interpolate(maps[0], maps[1].shape[-2:], mode="bilinear", align_corners=False)
    norm = encoder.norm
    mixed = (head + maps[1] - norm.running_mean[:, None, None]) / (
        norm.running_var[:, None, None] + norm.eps
    ).sqrt()
    tokens = F.gelu(mixed * norm.weight[:, None, None] + norm.bias[:, None, None])
    found = cues(reduced(taps.fine, taps.middle, upper.coarse, encoder.bases), taps.colors)
    small = group_by_rounds(found.weighted(SMALL_PARTS), taps.fine.shape[-2:], seeds=3)
    joined = merge(*parts(found.weighted(MERGED_PARTS), small), 4)
    return tokens, small, joined


def _segments(tokens, assignment, grid):
    """Mean token of each part, by selecting its places."""
    places = F.interpolate(tokens, grid, mode="bilinear", align_corners=False).flatten(2).mT
    none = torch.zeros(places.shape[-1])
    return torch.stack(
        [
            torch.stack([x[row > 0].mean(dim=0) if row.any() else none for row in rows])
            for x, rows in zip(places, assignment, strict=True)
        ]
    )


@torch.no_grad()
def test_features_are_those_of_the_formulas(model, images):
    encoder = model.image_encoder
    for norm in (encoder.of_head[0], encoder.of_middle[0], encoder.norm):
        norm.running_mean.normal_(std=0.1)
        norm.running_var.uniform_(0.5, 2)
    tokens, small, joined = _plain(encoder, images)
    found = encoder(images)
    torch.testing.assert_close(found.patches, tokens.flatten(2).mT)
    assert torch.equal(found.assignments[0], small)
    assert torch.equal(found.assignments[1], joined)
    for segments, assignment in zip(found.segments, (small, joined @ small), strict=True):
        torch.testing.assert_close(segments, _segments(tokens, assignment, (9, 13)))
    assert torch.equal(found.occupied[0], small.sum(dim=-1) > 0)
    assert torch.equal(found.occupied[1], (joined @ small).sum(dim=-1) > 0)


@torch.no_grad()
def test_middle_maps_give_the_patches_of_the_images(model, images):
    middle = model.image_encoder.trunk.lower(images).middle
    found = model.encode_image(Middle(middle))
    assert torch.equal(found.patches, model.encode_image(images).patches)
    assert found.segments == found.assignments == found.occupied == ()
    rounded = model.encode_image(Middle(middle.half())).patches
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, found.patches, atol=1e-2, rtol=1e-2)


@torch.no_grad()
def test_training_skips_the_parts(images):
    encoder = trunk_model().image_encoder.train()
    assert encoder(images).assignments == ()


@torch.no_grad()
def test_grids_are_those_of_the_results(model, images):
    encoder, found = model.image_encoder, model.embed_image(images)
    assert encoder.grid(72, 104) == (9, 13)
    assert encoder.patch_grid(72, 104) == model.patch_grid(72, 104) == (5, 7)
    assert found.patches.shape == (2, 35, 8)
    assert found.assignments[0].shape == (2, 9, 9 * 13)
    assert [tuple(one.shape) for one in found.segments] == [(2, 9, 8), (2, 4, 8)]


@torch.no_grad()
def test_an_image_is_the_mean_of_its_patches(model, images):
    found = model.embed_image(images, num_stages=0)
    assert found.segments == ()
    torch.testing.assert_close(found.image, F.normalize(found.patches.mean(dim=1), dim=-1))


@torch.no_grad()
def test_segments_are_projected_as_patches(model, images):
    features = model.encode_image(images)
    found = model.embed_features(features, num_stages=1).segments[-1]
    linear, norm = model.patch_projector
    plain = linear(features.segments[-1].flatten(0, 1))
    plain = (plain - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
    torch.testing.assert_close(found, F.normalize(plain, dim=-1).view(found.shape))
    assert model.image_projector is None


def test_gradients_reach_the_upper_half_and_the_heads_alone(images):
    model = trunk_model().train()
    pairs = model(images, torch.ones(2, 2, 5, dtype=torch.long), num_stages=0)
    (pairs.image.image.sum() + pairs.text.sum() + pairs.image.patches.square().sum()).backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None}
    assert not any(name.startswith("image_encoder.trunk.lower") for name in reached)
    expected = {
        name
        for name, _ in model.image_encoder.named_parameters()
        if not name.startswith("trunk.lower")
    }
    assert {f"image_encoder.{name}" for name in expected} <= reached


@torch.no_grad()
def test_whole_channels_of_the_maps_are_dropped():
    image = replace(TRUNK_CONFIG.image, trunk_dropout=0.5)
    encoder = PartEncoder(image).train()
    torch.manual_seed(1)
    dropped = encoder.of_head[:2](torch.randn(2, 1280, 4, 4)).flatten(2)
    gone = (dropped == 0).all(dim=-1)
    assert 0.4 < gone.float().mean() < 0.6
    assert torch.equal(gone, (dropped == 0).any(dim=-1))


def test_the_parameters_are_counted(model):
    counts = {
        name: sum(p.numel() for p in part.parameters())
        for name, part in model.image_encoder.named_children()
    }
    assert counts["trunk"] == 3_371_008  # EfficientNet-lite0 without its classifier
    assert counts["of_head"] == 1280 * 16
    assert counts["of_middle"] == 112 * 16
    assert counts["norm"] == 2 * 16
    number = sum(counts.values())
    assert number <= TRUNK_CONFIG.image.num_weights < 2 * number


@pytest.mark.parametrize("stem", ["efficientnet-lite1", "efficientnet-lite2"])
def test_larger_trunks_fit_too(stem):
    with torch.device("meta"):
        encoder = PartEncoder(replace(TRUNK_CONFIG.image, stem=stem))
    assert sum(p.numel() for p in encoder.parameters()) <= encoder.config.num_weights


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"stem": "patches", "num_heads": 2}, "goes with grouping 'rounds'"),
        ({"grouping": "soft", "num_heads": 2}, "goes with grouping 'rounds'"),
        ({"pooling": "tokens"}, "pooling 'patches' goes with"),
        ({"positions": True}, "a trunk needs none"),
        ({"patch_size": 16}, "behind a trunk it is 8"),
        ({"trunk_dropout": 1.0}, "a probability below 1"),
        ({"stages": TRUNK_CONFIG.image.stages[1:]}, "such as 49, 8 and 0"),
        ({"stages": TRUNK_CONFIG.image.stages[1::-1] + TRUNK_CONFIG.image.stages[2:]}, "merged"),
    ],
)
def test_settings_that_do_not_fit_a_trunk_are_refused(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        replace(TRUNK_CONFIG.image, **change)


@pytest.mark.parametrize("setting", [{"trunk_dropout": 0.2}, {"trunk_stride": 16}])
def test_settings_of_a_trunk_without_one_are_refused(setting):
    with pytest.raises(ValueError, match="there is no trunk"):
        ImageEncoderConfig(**setting)


@torch.no_grad()
def test_the_trunk_is_dilated_outside_of_training_alone(draw):
    """The weights are the same; in training the maps of the trunk have a stride of 32."""
    encoder = PartEncoder(replace(TRUNK_CONFIG.image, trunk_stride=16))
    middle = encoder.eval().trunk.lower(draw(1, 3, 64, 96)).middle
    assert encoder.trunk.upper(middle).coarse.shape[2:] == (4, 6)
    assert encoder.train().trunk.upper(middle).coarse.shape[2:] == (2, 3)


def test_an_image_of_patches_needs_their_projector():
    with pytest.raises(ValueError, match="needs patch_projector"):
        GroupViTConfig(image=TRUNK_CONFIG.image)


def test_a_drawn_model_depends_on_the_seed_alone():
    states = []
    for _ in range(2):
        torch.manual_seed(5)
        states.append(GroupViT(TRUNK_CONFIG).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
