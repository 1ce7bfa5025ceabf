import base64
import html
import io
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from PIL import Image

from groupvit.demo.page import About, build
from groupvit.demo.rows import draw_row
from groupvit.storybook.scene import CLASSES

VOID = ("meta", "link", "img", "br")


class Reader(HTMLParser):
    """All tags with their attributes; complains where one is not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def text(demo):
    return demo.page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text):
    return Reader(text)


def test_the_page_asks_for_nothing_outside_itself(page, text):
    for _, attributes in page.tags:
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("data:", "#"))
    assert "url(" not in text
    assert "@import" not in text
    assert "//" not in re.sub(r'src="data:[^"]*"', "", text)


def test_it_needs_no_script(page):
    assert page.all("script") == []
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_every_picture_is_a_png_of_the_size_that_is_said(page):
    images = page.all("img")
    assert len(images) == 2 * 5
    for image in images:
        data = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            assert picture.size == (int(image["width"]), int(image["height"]))
        assert image["alt"]


def test_ids_are_unique_and_all_references_have_one(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for _, attributes in page.tags:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in ids
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids


def test_headings_go_down_step_by_step(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_it_is_written_for_phones_and_for_the_dark(page, text):
    assert page.all("html") == [{"lang": "en"}]
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))
    assert "prefers-color-scheme: dark" in text


def test_text_of_others_is_escaped(text):
    assert "<own>" not in text
    assert "mine &amp; &lt;own&gt;" in text
    assert "&lt;drawn &amp; new&gt;" in text


def test_commands_name_the_model_as_a_shell_wants_it(text):
    assert "groupvit demo --model 'mine & <own>' --seed 2023" in html.unescape(text)


def test_it_tells_the_scores(demo, text):
    assert f"{100 * demo.evaluation.scores.miou:.1f}&nbsp;%" in text
    for oracle in demo.evaluation.oracles:
        assert f"{100 * oracle.miou:.1f}&nbsp;%" in text


def test_every_class_that_occurs_has_a_bar_and_the_best_comes_first(demo, text):
    scores = demo.evaluation.scores
    known = [label for label, iou in zip(CLASSES, scores.iou, strict=True) if iou is not None]
    shown = re.findall('<span class="name">([a-z]+)</span>', text)
    ious = dict(zip(scores.labels, scores.iou, strict=True))
    assert sorted(shown) == sorted(known)
    assert [ious[name] for name in shown] == sorted((ious[name] for name in known), reverse=True)


def test_captions_are_told(scenes, text):
    for index in range(2):
        assert html.escape(scenes.page(index).captions[0]) in text
    assert html.escape(scenes.page(2).captions[0]) not in text


ABOUT = About(
    model="storybook",
    source="drawn pictures",
    trained=True,
    num_parameters=1,
    naming="segments",
    refined=True,
)


@pytest.mark.parametrize(
    ("trained", "lead"), [(True, "This model has never seen a mask."), (False, "is untrained")]
)
def test_it_says_whether_the_model_has_learnt(demo, scenes, trained, lead):
    text = build(ABOUT._replace(trained=trained), scenes, demo.evaluation, [])
    assert lead in text
    assert Reader(text).all("img") == []


@pytest.mark.parametrize(
    ("naming", "taken"), [("segments", "A group takes the word"), ("levels", "A patch takes")]
)
def test_it_says_what_takes_the_words(demo, scenes, naming, taken):
    assert taken in build(ABOUT._replace(naming=naming), scenes, demo.evaluation, [])


@pytest.mark.parametrize("refined", [True, False])
def test_it_says_whether_borders_move(demo, scenes, refined):
    text = build(ABOUT._replace(refined=refined), scenes, demo.evaluation, [])
    assert ("borders move" in text) == refined


def test_a_caption_can_do_no_harm(demo, segmenter, scenes):
    page = scenes.page(0)._replace(captions=('"><script>alert(1)</script>',))
    row = draw_row(segmenter, page, CLASSES)
    assert Reader(build(ABOUT, scenes, demo.evaluation, [row])).all("script") == []
