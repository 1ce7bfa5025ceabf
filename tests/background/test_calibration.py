from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groupvit import Background
from groupvit.background.calibration import (
    EDGES,
    NUM_BINS,
    _fit,
    _otsu,
    calibrate,
    calibrate_without_masks,
    certainties,
)
from groupvit.background.learned_layer import Examples, learn
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.evaluation.evaluate import evaluate
from groupvit.evaluation.measurement import Measurement
from groupvit.segmentation.protocol import OURS
from groupvit.segmentation.segmenter import Segmenter

THINGS = Scenes(num=5, size=24, only_things=True)


@pytest.fixture(scope="module", params=["score", "similarity", "margin"])
def segmenter(request, lively_model):
    protocol = replace(OURS, certainty=request.param, keep_best_group=False, resized="scores")
    if request.param == "margin":
        parts = torch.eye(16).repeat(2, 1)
        there = torch.arange(32) < 16
        examples = Examples(parts, torch.where(there, 0.3, 0.1) + 0.1 * parts[:, 2], there)
        lively_model = learn(lively_model, examples).model
    return Segmenter(lively_model, protocol=protocol)


def test_thresholds_score_what_they_were_chosen_for(segmenter):
    found = calibrate(segmenter, THINGS)
    behind = Background(threshold=found.threshold, thresholds=found.thresholds)
    measured = evaluate(segmenter, THINGS, background=behind).scores.miou
    # Scores are mixed between patches, certainties too, but a mixture is not that of the winner.
    assert measured == pytest.approx(found.miou, abs=0.02)
    assert found.num_images == 5


def test_no_threshold_for_all_labels_is_better(segmenter):
    found = calibrate(segmenter, THINGS)
    for threshold in (found.threshold - 0.1, found.threshold + 0.1):
        if -1 <= threshold <= 1:
            other = evaluate(segmenter, THINGS, background=Background(threshold=threshold))
            assert other.scores.miou <= found.miou + 0.02


def test_labels_that_few_images_show_have_no_threshold_of_their_own(segmenter):
    found = calibrate(segmenter, THINGS)
    for index, name in enumerate(THINGS.labels, start=1):
        shown = sum((THINGS[i].mask == index).any() for i in range(len(THINGS)))
        assert (name in found.thresholds) == (shown >= 3)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_single_thresholds_are_at_least_as_good_as_one(seed):
    rng = np.random.default_rng(seed)
    table = np.zeros((3, 2, NUM_BINS), np.int64)
    where = (rng.integers(0, 3, 60), rng.integers(0, 2, 60), rng.integers(0, NUM_BINS, 60))
    np.add.at(table, where, rng.integers(1, 9, 60))

    def miou(thresholds):
        hits, said = np.zeros(3), np.zeros(3)
        for truth, label, place in zip(*table.nonzero(), strict=True):
            given_up = EDGES[place] < thresholds[label]
            answer = 0 if given_up else label + 1
            said[answer] += table[truth, label, place]
            hits[answer] += table[truth, label, place] * (answer == truth)
        union = table.sum(axis=(1, 2)) + said - hits
        return (hits / union)[union > 0].mean()

    shown = np.array([9, 9])
    found = _fit(table, ("a", "b"), shown, 9)
    own = miou([found.thresholds["a"], found.thresholds["b"]])
    assert found.miou == pytest.approx(own)
    common = miou([found.threshold] * 2)
    assert own >= common - 1e-12
    assert common == pytest.approx(max(miou([edge] * 2) for edge in EDGES))
    for threshold, told in found.curve[::7]:
        assert told == pytest.approx(miou([threshold] * 2))


def test_the_best_cut_lies_between_two_heaps():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(-0.3, 0.1, 5000), rng.normal(0.5, 0.1, 2000)])
    counts, _ = np.histogram(values, bins=NUM_BINS, range=(-1, 1))
    assert -0.1 < EDGES[_otsu(counts)] < 0.3

    def slow(place):
        below, above = values[values < EDGES[place]], values[values >= EDGES[place]]
        return len(below) * len(above) * (below.mean() - above.mean()) ** 2

    best = max(range(100, 320), key=slow)
    assert abs(_otsu(counts) - best) <= 2


def test_without_masks_the_threshold_is_that_of_all_certainties(segmenter):
    images = [THINGS[index].image for index in range(5)]
    told = []
    found = calibrate_without_masks(
        segmenter, images, THINGS.labels, on_progress=lambda *done: told.append(done)
    )
    values = []
    for image in images:
        [grouped] = segmenter.group([image])
        values.append(certainties(segmenter, grouped, THINGS.labels)[1].ravel())
    values = np.concatenate(values)
    assert values.min() <= found.threshold <= values.max()
    assert (found.thresholds, found.miou, told[-1]) == ({}, None, (5, 5))


def test_the_best_label_is_that_of_the_segmenter(segmenter):
    image = THINGS[0].image
    [grouped] = segmenter.group([image])
    best, certainty = certainties(segmenter, grouped, THINGS.labels)
    result = segmenter(image, THINGS.labels)
    assert (best == result.label_map).mean() > 0.98
    if segmenter.certainty == "score":
        np.testing.assert_allclose(certainty, result.scores.max(axis=0), atol=1e-6)


def test_a_benchmark_without_background_is_refused(segmenter):
    with pytest.raises(InputError, match="there is nothing to calibrate"):
        calibrate(segmenter, Scenes(num=1, size=24))


def test_thresholds_for_another_kind_of_certainty_are_refused(segmenter):
    other = "similarity" if segmenter.certainty == "score" else "score"
    with pytest.raises(InputError, match=f"are of the kind '{other}', but this model"):
        segmenter(THINGS[0].image, ["tree"], background=Background(threshold=0.2, certainty=other))


def test_a_calibrated_model_goes_by_its_thresholds_where_the_protocol_leaves_them_open(
    segmenter,
):
    labels = THINGS.labels
    told = Background(
        threshold=0.3, thresholds={labels[0]: 0.4, "cow": 0.9}, certainty=segmenter.certainty
    )
    one = Segmenter(segmenter.model, protocol=segmenter.protocol, background=told)
    assert one.default_background(labels) == told.among(labels)
    assert Measurement.of(one, THINGS).background == told.among(labels)
    published = Segmenter(segmenter.model, protocol="groupvit", background=told)
    assert Measurement.of(published, THINGS).background.threshold == 0.95
    usual = {"score": 0.5, "similarity": 0.2, "margin": 0.0}[segmenter.certainty]
    assert segmenter.default_background(labels).threshold == usual
    other = "similarity" if segmenter.certainty == "score" else "score"
    foreign = Segmenter(
        segmenter.model, protocol=segmenter.protocol, background=replace(told, certainty=other)
    )
    assert foreign.default_background(labels).threshold == usual


def test_what_the_user_gives_counts_more_than_a_calibration(segmenter):
    told = Background(threshold=0.3, thresholds={THINGS.labels[0]: 0.4})
    one = Segmenter(segmenter.model, protocol=segmenter.protocol, background=told)
    given = Measurement.of(one, THINGS, Background(threshold=0.6)).background
    assert (given.threshold, given.thresholds) == (0.6, {})
    wordy = Measurement.of(one, THINGS, Background(words=("wall",))).background
    assert (wordy.threshold, wordy.thresholds, wordy.words) == (0.3, told.thresholds, ("wall",))
