"""Sessions, maps and files of the page, and the values that it starts with."""

import asyncio
import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fastapi import HTTPException
from PIL import Image

from groupvit.errors import InputError
from groupvit.photographs.bundled import PHOTOGRAPHS
from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.limits import RequestLimits
from groupvit.serving.maps import label_map_of, names_of, resized_for_display, stage_of
from groupvit.serving.page import settings
from groupvit.serving.page.examples import THUMBNAIL, examples
from groupvit.serving.page.settings import suggestions, threshold_range
from groupvit.serving.sessions import Session, Sessions
from groupvit.storybook.scene import CLASSES
from groupvit.text.background import Background
from groupvit.weights import catalogue

STATIC = Path("src/groupvit/serving/page/static")


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter.load("storybook")


@pytest.fixture(scope="module")
def grouped(segmenter):
    return segmenter.group(["examples/harbour.png"])[0]


@pytest.fixture(scope="module")
def session(grouped):
    return Session.of(grouped)


def values_in(map_in_base64):
    bands = np.asarray(Image.open(io.BytesIO(base64.b64decode(map_in_base64)))).astype(int)
    return bands[..., 0] + 256 * bands[..., 1]


def test_a_map_has_every_pixels_label(segmenter, grouped):
    displayed = resized_for_display(grouped)
    found = segmenter.label(displayed, ["boat", "sea"], background=Background(threshold=0.1))
    np.testing.assert_array_equal(values_in(label_map_of(found)), found.label_map)
    names = names_of(found)
    assert names
    for name in names:
        row, column = (
            int(fraction * n) for fraction, n in zip((name.y, name.x), displayed.size, strict=True)
        )
        assert found.label_map[row, column] == name.value


@pytest.mark.parametrize("stage", [0, 1])
def test_a_map_has_every_pixels_group_by_its_number(grouped, stage):
    found = stage_of(grouped, stage)
    group_map = grouped.group_map(stage)
    np.testing.assert_array_equal(values_in(found.map), group_map)
    assert [one.group for one in found.groups] == np.unique(group_map).tolist()
    assert sum(one.share for one in found.groups) == pytest.approx(1)
    assert found.stage == stage + 1


def test_groups_name_the_group_that_merged_them(segmenter, grouped):
    first, last = stage_of(grouped, 0), stage_of(grouped, 1)
    result = segmenter.label(grouped, ["boat", "sea", "sky"])
    of_first, of_last = result.group_labels(0), result.group_labels(1)
    for one in first.groups:
        assert one.merged_into is not None
        assert of_first[one.group] == of_last[one.merged_into]
    assert {one.merged_into for one in last.groups} == {None}


def test_a_soft_map_is_what_is_enlarged_and_compared_in_a_group_map(grouped):
    for stage in (0, 1):
        count = grouped.num_groups(stage) * len(grouped.windows)
        maps = np.stack([grouped.soft_map(stage, group) for group in range(count)])
        assert maps.min() >= 0
        np.testing.assert_allclose(maps.sum(axis=0), 1, atol=1e-4)
        top = np.take_along_axis(maps, grouped.group_map(stage)[None].astype(int), axis=0)[0]
        assert (top >= maps.max(axis=0) - 1e-5).mean() > 0.99


def test_a_soft_map_of_no_group_is_refused(grouped):
    with pytest.raises(InputError, match="stage 2 has no group 99; give 0 to 23"):
        grouped.soft_map(1, 99)
    with pytest.raises(InputError, match="no stage 3; give 1 to 2"):
        grouped.soft_map(2, 0)


@pytest.mark.parametrize(
    ("size", "expected"), [((90, 60), (640, 427)), ((800, 700), (800, 700)), ((9, 3000), (3, 1024))]
)
def test_what_is_displayed_fits_a_screen(grouped, size, expected):
    other = replace(grouped, image=np.zeros((*size, 3), np.uint8))
    assert resized_for_display(other).size == expected


def test_sessions_hold_no_memory_of_a_batch(segmenter):
    image = np.zeros((100, 100, 3), np.uint8)
    first = Session.of(segmenter.group([image, image, image])[0])
    for window in first.original.windows:
        for tensor in (*window.assignments, window.segments, window.naming_embeddings):
            assert tensor.untyped_storage().nbytes() == tensor.nbytes


def test_sessions_are_bounded_and_the_least_recently_used_is_dropped(session):
    async def use():
        sessions = Sessions(RequestLimits(max_session_bytes=int(2.5 * session.num_bytes)))
        for digest in "ab":
            sessions.put(digest, session)
        assert sessions.get("a") is session
        sessions.put("c", session)
        assert sessions.find("b") is None
        assert sessions.get("a") is session  # used after b
        with pytest.raises(HTTPException, match="404"):
            sessions.get("b")
        few = Sessions(RequestLimits(max_sessions=1, max_session_bytes=1))
        few.put("a", session)
        assert few.find("a") is session
        few.put("b", session)
        assert few.find("a") is None
        for one in (sessions, few):
            one.close()
        assert sessions.find("a") is None

    asyncio.run(use())


def test_sessions_end_after_their_last_use(session):
    async def use():
        sessions = Sessions(RequestLimits(session_seconds=1.0))
        sessions.put("a", session)
        sessions.put("b", session)
        loop = asyncio.get_running_loop()
        end = loop.time() + 1.5
        while loop.time() < end:
            assert sessions.find("a") is session
            await asyncio.sleep(0.05)
        assert sessions.find("b") is None
        await asyncio.sleep(2.0)
        assert sessions._kept == {}  # without any further request
        sessions.close()

    asyncio.run(use())


@pytest.mark.parametrize(
    ("calibrated", "usual"),
    [
        (None, 0.0),
        (Background(threshold=0.7), 0.7),
        (Background(thresholds={"boat": 0.3}), 0.0),
        (Background(threshold=0.4, certainty="score"), 0.0),
    ],
)
def test_the_slider_begins_where_the_model_was_calibrated(calibrated, usual):
    segmenter = Segmenter(catalogue.load("storybook").model, background=calibrated)
    found = threshold_range(segmenter, CLASSES)
    assert found.usual == usual
    assert found.lowest <= usual <= found.highest
    assert not found.has_words


def test_suggestions_are_words_that_the_model_knows(segmenter):
    assert suggestions(segmenter, "storybook") == CLASSES
    found = suggestions(segmenter, "mine")
    assert found[0] == "sea"
    assert segmenter.coverage.unknown(found) == []


def test_examples_are_photographs_first_but_for_the_model_of_scenes():
    found = examples(scenes_first=False)
    for example, photograph in zip(found, PHOTOGRAPHS, strict=False):
        assert example.data == photograph.path.read_bytes()
        assert photograph.credit in example.caption
        assert example.labels == photograph.labels
        assert Image.open(io.BytesIO(example.thumbnail)).size == (THUMBNAIL, THUMBNAIL)
    scenes = found[len(PHOTOGRAPHS) :]
    assert len(scenes) == 5
    assert all(set(example.labels) <= set(CLASSES) for example in scenes)
    assert examples(scenes_first=True)[:5] == scenes


def test_the_documentation_is_linked_where_the_package_names_it(monkeypatch):
    urls = {"Project-URL": "Documentation, https://example.org/docs/"}

    class Metadata:
        def __init__(self, found):
            self.found = found

        def get_all(self, name):
            return [self.found[name]] if name in self.found else None

    monkeypatch.setattr(settings, "metadata", lambda _: Metadata(urls))
    assert settings.documentation() == "https://example.org/docs/"
    monkeypatch.setattr(settings, "metadata", lambda _: Metadata({}))
    assert settings.documentation() is None


def test_no_script_makes_markup_of_texts_or_calls_other_hosts():
    for path in STATIC.glob("*.js"):
        text = path.read_text("utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b", text)
        assert "http" not in text, path
    for path in STATIC.glob("*.html"):
        text = path.read_text("utf-8")
        assert not re.search(r"<script(?![^>]*src=)|<style|style=| on\w+=|//", text[15:]), path
