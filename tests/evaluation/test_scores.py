import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupvit.evaluation.scores import IGNORED, overlap, scores_of

LABELS = ("sky", "grass", "dog", "cat")


@st.composite
def pairs(draw):
    """A truth with ignored pixels and a prediction, of one size."""
    height, width = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    labels = st.integers(0, len(LABELS) - 1)
    truth = st.lists(labels | st.just(IGNORED), min_size=height * width, max_size=height * width)
    prediction = st.lists(labels, min_size=height * width, max_size=height * width)
    shape = (height, width)
    return (
        np.array(draw(truth), np.uint8).reshape(shape),
        np.array(draw(prediction), np.uint8).reshape(shape),
    )


def slow_iou(maps, label):
    """Pixel by pixel; None without a pixel in truth and prediction."""
    both = either = 0
    for truth, prediction in maps:
        for right, said in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
            if right != IGNORED:
                both += right == said == label
                either += label in (right, said)
    return both / either if either else None


def slow_accuracy(maps, label):
    said = [
        prediction_of
        for truth, prediction in maps
        for truth_of, prediction_of in zip(truth.flat, prediction.flat, strict=True)
        if truth_of == label
    ]
    return said.count(label) / len(said) if said else None


def scores(maps):
    size = (len(LABELS), len(LABELS))
    return scores_of(sum(overlap(truth, said, size) for truth, said in maps), LABELS)


@given(st.lists(pairs(), min_size=1, max_size=3))
def test_every_score_is_that_of_a_count_pixel_by_pixel(maps):
    found = scores(maps)
    assert found.iou == tuple(slow_iou(maps, label) for label in range(len(LABELS)))
    assert found.accuracy == tuple(slow_accuracy(maps, label) for label in range(len(LABELS)))
    truth = np.concatenate([truth.ravel() for truth, _ in maps])
    said = np.concatenate([prediction.ravel() for _, prediction in maps])
    if (truth != IGNORED).any():
        right = (truth == said)[truth != IGNORED].mean()
        assert found.pixel_accuracy == pytest.approx(right, abs=1e-15)


@given(pairs())
def test_a_map_with_itself_scores_one(maps):
    _, prediction = maps
    found = scores([(prediction, prediction)])
    assert found.miou == found.mean_accuracy == found.pixel_accuracy == 1.0


@given(st.lists(pairs(), min_size=2, max_size=4))
def test_the_order_of_images_does_not_matter(maps):
    assert repr(scores(maps)) == repr(scores(maps[::-1]))


def test_a_class_that_occurs_nowhere_is_in_no_mean():
    truth = np.array([[0, 0, 1, 1]], np.uint8)
    found = scores([(truth, np.array([[0, 0, 1, 2]], np.uint8))])
    assert found.iou == (1.0, 0.5, 0.0, None)
    assert found.accuracy == (1.0, 0.5, None, None)
    assert found.miou == 0.5
    assert found.mean_accuracy == 0.75


def test_ignored_pixels_do_not_count_whatever_is_predicted():
    truth = np.array([[0, IGNORED, IGNORED]], np.uint8)
    assert scores([(truth, np.array([[0, 1, 2]], np.uint8))]).iou == (1.0, None, None, None)


def test_without_a_pixel_there_is_no_mean():
    nothing = np.full((2, 2), IGNORED, np.uint8)
    found = scores([(nothing, np.zeros((2, 2), np.uint8))])
    assert math.isnan(found.miou)
    assert math.isnan(found.mean_accuracy)
    assert math.isnan(found.pixel_accuracy)


def test_counts_beyond_32_bits_stay_exact():
    found = scores_of(np.array([[2**53, 1], [0, 2**53]]), LABELS[:2])
    assert found.iou == (2**53 / (2**53 + 1), 2**53 / (2**53 + 1))


def test_a_prediction_of_16_bits_counts_as_well():
    truth = np.arange(4, dtype=np.uint8)[None]
    table = overlap(truth, truth.astype(np.uint16), (4, 4))
    assert table.tolist() == np.eye(4, dtype=int).tolist()


def test_a_prediction_beyond_the_labels_is_our_mistake():
    with pytest.raises(AssertionError):
        overlap(np.ones((1, 1), np.uint8), np.full((1, 1), 2, np.uint8), (2, 2))


@given(pairs())
def test_the_overlap_counts_every_pixel_that_is_not_ignored_once(maps):
    truth, parts = maps
    assert overlap(truth, parts, (4, 4)).sum() == (truth != IGNORED).sum()
