import re
from dataclasses import replace

import numpy as np
import pytest

from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.evaluation.evaluate import evaluate
from groupvit.evaluation.evaluation import ImageScore
from groupvit.evaluation.reports import writing
from groupvit.evaluation.reports.images import choose, draw
from groupvit.evaluation.reports.page import mistakes, page
from groupvit.evaluation.scores import scores_of
from groupvit.segmentation.labels import parse
from groupvit.segmentation.segmenter import Segmenter
from groupvit.storybook.scene import CLASSES
from groupvit.text.coverage import Coverage
from tests.pages import CHECKS, Reader

SCENES = Scenes(num=4, size=24, only_things=True)
MODEL = "mine & <own>"


@pytest.fixture(scope="module")
def segmenter(lively_model):
    return Segmenter(lively_model)


@pytest.fixture(scope="module")
def found(segmenter):
    return evaluate(segmenter, SCENES)


@pytest.fixture(scope="module")
def text(segmenter, found):
    labels = parse(found.measurement.labels)
    shown = [draw(segmenter, SCENES, found, labels, one) for one in choose(found.images, 3)]
    return page(found, shown, model=MODEL)


@pytest.mark.parametrize("check", CHECKS)
def test_it_is_a_page_as_all_of_ours(text, check):
    check(text)


def test_it_tells_what_was_measured_and_how(text, found):
    digest = found.measurement.fingerprint
    for told in ("protocol ours", "background below 0.5", digest, SCENES.name):
        assert told in text
    assert "mine &amp; &lt;own&gt;" in text


def test_the_numbers_are_those_of_the_evaluation(found, text):
    for number in (
        found.scores.miou,
        found.boundary_miou,
        found.best_group_iou[-1],
        found.oracle.miou,
    ):
        assert f"{100 * number:.1f}\u00a0%" in text


def test_images_come_from_the_best_to_the_worst(text):
    assert len(Reader(text).all("img")) == 3 * 5
    scores = [float(score) for score in re.findall(r"mIoU ([\d.]+)\u00a0%", text)]
    assert scores == sorted(scores, reverse=True)


def test_the_words_of_a_image_are_those_of_the_segmenter(segmenter, found):
    score, measurement = found.images[1], found.measurement
    shown = draw(segmenter, SCENES, found, parse(measurement.labels), score)
    result = segmenter(SCENES[1].image, measurement.labels, background=measurement.background)
    words = {word.name: word.share for word in shown.panels[2].legend}
    for index, name in enumerate(result.labels):
        assert words.get(name, 0) == pytest.approx((result.label_map == index).mean())


def test_images_are_chosen_at_equal_steps_of_rank():
    scores = [
        ImageScore(index=index, name="", miou=miou, pixel_accuracy=0.0)
        for index, miou in enumerate([0.1, 0.5, 0.3, 0.9, 0.7])
    ]
    assert [one.miou for one in choose(scores, 3)] == [0.9, 0.5, 0.1]
    assert len(choose(scores, 9)) == 5
    assert choose(scores, 0) == []


def test_the_commonest_mistake_comes_first(found):
    labels = ("sky", "sea", "sand")
    table = np.array([[5, 1, 0], [0, 8, 2], [0, 0, 4]])
    scored = replace(found, confusion=table, scores=scores_of(table, labels))
    first, second = mistakes(scored)
    assert (first.truth, first.prediction) == ("sea", "sand")
    assert (first.of_class, first.of_all) == (0.2, 0.1)
    assert (second.truth, second.prediction) == ("sky", "sea")


def test_without_a_mistake_none_is_told(found):
    labels = ("sky", "sea")
    table = np.diag([3, 4])
    scores = scores_of(table, labels)
    perfect = replace(
        found, confusion=table, scores=scores, oracles=(scores,) * 2, boundary_iou=(1.0, None)
    )
    assert "every pixel is right" in page(perfect, [], model=MODEL)
    assert "No class is more than 5 points below" in page(perfect, [], model=MODEL)


@pytest.mark.parametrize("unknown", [(), ("tree", "car")])
def test_words_of_no_caption_are_named_with_the_nearest_known_ones(
    lively_model, found, tmp_path, unknown
):
    nouns = {name: 9 for name in CLASSES if name not in unknown}
    segmenter = Segmenter(lively_model, coverage=Coverage(domain="drawn scenes", nouns=nouns))
    writing.write(tmp_path, segmenter, SCENES, found, model=MODEL, num_shown=0)
    text = (tmp_path / writing.PAGE).read_text("utf-8")
    for name in CLASSES:
        assert (f"<li>{name} is in no caption of this model" in text) == (name in unknown)
    assert ("this model knows drawn scenes" in text) == bool(unknown)
