import html
import re

import pytest

from groupvit.demo.page import About, PhotographsPart, ScenesPart, build
from groupvit.demo.photographs import PhotographRow
from groupvit.demo.rows import draw_row
from groupvit.storybook.scene import CLASSES
from tests.pages import CHECKS, Reader


@pytest.fixture(scope="module")
def text(demo):
    return demo.page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text):
    return Reader(text)


@pytest.mark.parametrize("check", CHECKS)
def test_it_is_a_page_as_all_of_ours(text, check):
    check(text)


def test_every_photograph_has_four_images_and_every_scene_five(page):
    assert len(page.all("img")) == 2 * 4 + 2 * 5


def test_text_of_others_is_escaped(text):
    assert "<own>" not in text
    assert "mine &amp; &lt;own&gt;" in text
    assert "&lt;drawn &amp; new&gt;" in text


def test_commands_name_the_model_as_a_shell_wants_it(text):
    commands = html.unescape(text)
    assert "groupvit demo --scenes-model 'mine & <own>' --seed 2023" in commands
    assert "groupvit groups IMAGE --model '<my> & photos'" in commands


def test_it_tells_the_scores(demo, text):
    assert f"{100 * demo.evaluation.scores.miou:.1f}\u00a0%" in text
    for oracle in demo.evaluation.oracles:
        assert f"{100 * oracle.miou:.1f}\u00a0%" in text


def test_every_class_that_occurs_has_a_bar_and_the_best_comes_first(demo, text):
    scores = demo.evaluation.scores
    shown_iou = demo.evaluation.shown_iou
    known = [label for label, iou in zip(CLASSES, shown_iou, strict=True) if iou is not None]
    shown = re.findall('<span class="name">([a-z]+)</span>', text)
    ious = dict(zip(scores.labels, scores.iou, strict=True))
    assert sorted(shown) == sorted(known)
    assert [ious[name] for name in shown] == sorted((ious[name] for name in known), reverse=True)


def test_captions_are_told(scenes, text):
    for index in range(2):
        assert html.escape(scenes.draw(index).captions[0]) in text
    assert html.escape(scenes.draw(2).captions[0]) not in text


ABOUT = About(
    model="storybook",
    source="drawn images",
    trained=True,
    num_parameters=1,
    naming="segments",
    refined=True,
)


ROW = PhotographRow("A cat", ("cat",), (), ("zeppelin is in no caption",), "The dog is no cat.")


@pytest.fixture(scope="module")
def page_of(demo, scenes):
    """Writes a page of a row of a photograph, and of scenes."""

    def text(about, *, photograph_model="photos", rows=()):
        first = PhotographsPart(ABOUT._replace(model=photograph_model), [ROW])
        return build(first, ScenesPart(about, scenes, demo.evaluation, rows))

    return text


@pytest.mark.parametrize(
    ("trained", "lead"), [(True, "No model on this page has seen a mask."), (False, "is untrained")]
)
def test_it_says_whether_the_model_has_learned(page_of, trained, lead):
    text = page_of(ABOUT._replace(trained=trained))
    assert lead in text
    assert Reader(text).all("img") == []


@pytest.mark.parametrize(
    ("naming", "taken"),
    [
        ("segments", "A group takes the label"),
        ("parts", "of a group are averaged"),
        ("levels", "A patch takes"),
    ],
)
def test_it_says_what_is_compared_with_labels(page_of, naming, taken):
    assert taken in page_of(ABOUT._replace(naming=naming))


@pytest.mark.parametrize("refined", [True, False])
def test_it_says_whether_borders_move(page_of, refined):
    text = page_of(ABOUT._replace(refined=refined))
    assert text.count("borders move") == 1 + refined


@pytest.mark.parametrize("name", ["photos", "another"])
def test_failures_and_terms_are_those_of_the_bundled_model(page_of, name):
    text = page_of(ABOUT, photograph_model=name)
    for sentence in ("The dog is no cat.", "for research use", "classify ImageNet"):
        assert (sentence in text) == (name == "photos")


def test_unknown_words_are_named(page_of):
    assert "zeppelin is in no caption" in page_of(ABOUT, photograph_model="another")


def test_a_caption_can_do_no_harm(page_of, segmenter, scenes):
    page = scenes.draw(0)._replace(captions=('"><script>alert(1)</script>',))
    row = draw_row(segmenter, page, CLASSES)
    assert Reader(page_of(ABOUT, rows=[row])).all("script") == []
