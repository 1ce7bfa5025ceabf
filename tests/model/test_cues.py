import pytest
import torch
from torch.nn import functional as F

from groupvit.model.cues import (
    MERGED_PARTS,
    SMALL_PARTS,
    Bases,
    Cues,
    CueWeights,
    cues,
    lab,
    reduced,
)


@pytest.fixture
def found(draw):
    """Cues of two images of a grid of 6 x 8."""
    maps = draw(2, 4, 6, 8), draw(2, 5, 3, 4, seed=1), draw(2, 6, 2, 2, seed=3)
    bases = Bases(draw(4, 2), draw(5, 3), draw(6, 3))
    return cues(reduced(*maps, bases), draw(2, 3, 6, 8, seed=2).sigmoid()), maps, bases


def test_every_cue_is_centered_and_of_unit_size_in_each_image(found):
    for cue in found[0]:
        torch.testing.assert_close(
            cue.mean(dim=1), torch.zeros(2, cue.shape[-1]), atol=1e-5, rtol=0
        )
        torch.testing.assert_close(cue.square().sum(dim=-1).mean(dim=1), torch.ones(2))


def test_cues_have_the_dimensions_of_their_bases(found):
    assert [tuple(cue.shape) for cue in found[0]] == [(2, 48, dim) for dim in (2, 3, 3, 3, 2)]


def test_projecting_before_resizing_changes_nothing(found):
    all_cues, (_, middle, _), bases = found
    resized = F.interpolate(middle, (6, 8), mode="bilinear", align_corners=False)
    tokens = resized.flatten(2).mT @ bases.middle
    centered = tokens - tokens.mean(dim=1, keepdim=True)
    expected = centered / centered.square().sum(dim=-1).mean(dim=1)[:, None, None].sqrt()
    torch.testing.assert_close(all_cues.middle, expected, atol=1e-5, rtol=1e-5)


def test_places_keep_the_shape_of_the_image(found):
    place = found[0].place[0].view(6, 8, 2)
    down, across = place[1, 0, 0] - place[0, 0, 0], place[0, 1, 1] - place[0, 0, 1]
    torch.testing.assert_close(down, across)


def test_an_image_of_one_color_has_no_color(draw):
    gray = torch.full((1, 3, 6, 8), 0.3)
    maps = draw(1, 4, 6, 8), draw(1, 5, 3, 4), draw(1, 6, 2, 2)
    found = cues(reduced(*maps, Bases(draw(4, 2), draw(5, 3), draw(6, 3))), gray)
    assert torch.equal(found.color, torch.zeros(1, 48, 3))


def test_squared_distances_of_features_are_the_weighted_sums_of_those_of_the_cues(found):
    features = found[0].weighted(SMALL_PARTS)
    expected = sum(
        weight**2 * torch.cdist(cue, cue).square()
        for cue, weight in zip(found[0], SMALL_PARTS, strict=True)
    )
    torch.testing.assert_close(
        torch.cdist(features, features).square(), expected, atol=1e-3, rtol=1e-3
    )


def test_cues_without_weight_are_left_out(found):
    assert found[0].weighted(MERGED_PARTS).shape == (2, 48, 2 + 3 + 3)
    assert torch.equal(found[0].weighted(CueWeights(0, 2, 0)), 2 * found[0].middle)


def test_there_is_a_weight_for_every_cue():
    assert Cues._fields == CueWeights._fields


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.74, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.20, -107.86)),
        ((119, 119, 119), (50.03, 0, 0)),
        ((1, 2, 3), (0.51, -0.12, -0.47)),
    ],
)
def test_colors_are_those_of_the_published_conversion(rgb, expected):
    found = lab(torch.tensor(rgb).view(1, 3, 1, 1) / 255).flatten()
    torch.testing.assert_close(found, torch.tensor(expected).float(), atol=0.03, rtol=0)
