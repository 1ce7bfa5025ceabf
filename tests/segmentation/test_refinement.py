from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from groupvit import InputError, Segmenter
from groupvit.segmentation.protocol import OURS
from groupvit.segmentation.refinement import Refinement, refine


def slow(scores, image, refinement):
    """The formulas, pixel by pixel."""
    _, height, width = scores.shape
    places = [
        (distance * down, distance * right)
        for distance in refinement.dilations
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
        if down or right
    ]

    def at(x, row, column):
        return x[:, min(max(row, 0), height - 1), min(max(column, 0), width - 1)]

    for _ in range(refinement.steps):
        new = torch.zeros_like(scores)
        for row in range(height):
            for column in range(width):
                here = image[:, row, column]
                around = [at(image, row + d, column + r) for d, r in places]
                deviation = torch.stack([*around, here]).std(dim=0)
                likeness = torch.stack(
                    [
                        -((there - here).abs() / (refinement.contrast * deviation + 1e-8)).mean()
                        for there in around
                    ]
                )
                for (d, r), share in zip(places, likeness.softmax(dim=0), strict=True):
                    new[:, row, column] += share * at(scores, row + d, column + r)
        scores = new
    return scores


@pytest.fixture
def scores():
    return torch.rand(3, 7, 9, generator=torch.Generator().manual_seed(0)).softmax(dim=0)


@pytest.fixture
def image():
    return 255 * torch.rand(3, 7, 9, generator=torch.Generator().manual_seed(1))


def test_it_equals_the_formulas_pixel_by_pixel(scores, image):
    refinement = Refinement(steps=2, dilations=(1, 3), contrast=0.3)
    expected = slow(scores, image, refinement)
    torch.testing.assert_close(refine(scores, image, refinement), expected)


def test_scores_of_a_pixel_keep_their_sum(scores, image):
    total = refine(scores, image, Refinement()).sum(dim=0)
    torch.testing.assert_close(total, torch.ones_like(total))


def test_a_label_that_is_best_nowhere_takes_no_part(scores, image):
    scores[2] = 0.0
    with_hopeless = torch.cat([scores, scores.amin(dim=0, keepdim=True) / 2])
    found = refine(with_hopeless, image, Refinement(steps=2))
    assert (found[2:] == 0).all()
    torch.testing.assert_close(found[:2], refine(scores[:2], image, Refinement(steps=2)))


def test_a_border_moves_to_where_the_color_changes():
    image = torch.zeros(3, 24, 24)
    image[:, :, 12:] = 200.0
    truth = (torch.arange(24) >= 12).expand(24, 24)
    blurred = (torch.arange(24) >= 9).expand(24, 24).float() * 0.8 + 0.1
    scores = torch.stack([1 - blurred, blurred])
    refined = refine(scores, image, Refinement()).argmax(dim=0)
    assert ((scores.argmax(dim=0) == 1) == truth).float().mean() < 0.9
    assert ((refined == 1) == truth).float().mean() > 0.95


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"dilations": ()}, {"dilations": (0,)}, {"contrast": 0.0}]
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(InputError):
        Refinement(**wrong)


@pytest.mark.parametrize("naming", ["segments", "levels"])
@pytest.mark.parametrize("size", [(24, 30), (90, 120)])
def test_a_segmentation_is_refined_at_the_smaller_size(lively_model, street, naming, size):
    plain = replace(OURS, naming=naming)
    found, refined = (
        Segmenter(lively_model, protocol=protocol)(street(*size), ["dog", "cat", "grass"])
        for protocol in (plain, replace(plain, refinement=Refinement(steps=2)))
    )
    assert refined.label_map.shape == size
    assert refined.scores.shape == found.scores.shape
    assert not np.array_equal(refined.scores, found.scores)
    assert (refined.groups.refinement, found.groups.refinement) == (Refinement(steps=2), None)
    smaller = tuple(map(min, size, found.groups.working_size))
    assert tuple(refined.score_map.regions.shape) == smaller
    dense = F.interpolate(torch.from_numpy(refined.scores)[None], size)[0]
    assert (dense.argmax(dim=0).numpy() == refined.label_map).mean() > 0.99


@pytest.mark.parametrize("window", [None, 32])
def test_groups_are_refined_as_labels_are(lively_model, street, window):
    protocol = replace(OURS, window=window, stride=16)
    [grouped] = Segmenter(lively_model, protocol=protocol).group([street(40, 60)])
    plain = grouped.group_map(1)
    refined = replace(grouped, refinement=Refinement()).group_map(1)
    assert refined.shape == plain.shape
    assert set(np.unique(refined)) <= set(np.unique(plain))
    assert 0 < (refined != plain).mean() < 0.5


def test_segments_of_one_label_each_are_refined_to_their_groups(lively_model, street):
    [grouped] = Segmenter(lively_model).group([street(40, 60)])
    window, refinement = grouped.windows[0], Refinement(steps=3)
    pixels = torch.from_numpy(grouped.image).float().movedim(-1, 0)
    dense = torch.stack([(window.group_map(1, (40, 60)) == g).float() for g in range(5)])
    labels = refine(dense, pixels, refinement).argmax(dim=0)
    found = window.refined_map(1, pixels, refinement)
    assert (labels == found).float().mean() > 0.8  # shares are softer than winners
