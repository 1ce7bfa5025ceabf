"""Cache of the page, overlays of its viewer, and its controls."""

import asyncio
import base64
import io

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from groupvit.errors import InputError
from groupvit.photographs.bundled import PHOTOGRAPHS
from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.limits import RequestLimits
from groupvit.serving.metrics import Metrics
from groupvit.serving.page.blocks import build, examples, suggestions
from groupvit.serving.page.cache import CachedImage, ImageCache
from groupvit.serving.page.overlays import GroupOverlay, label_overlay, resized_for_display
from groupvit.serving.service import Service
from groupvit.storybook.scene import CLASSES
from groupvit.text.background import Background
from groupvit.weights import catalogue


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter.load("storybook")


@pytest.fixture(scope="module")
def grouped(segmenter):
    return segmenter.group(["examples/harbour.png"])[0]


def indices(overlay):
    data = base64.b64decode(overlay["map"].partition(",")[2])
    bands = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    return bands[..., 0] + 256 * bands[..., 1]


def test_the_viewer_is_given_every_pixels_label(segmenter, grouped):
    displayed = resized_for_display(grouped)
    found = segmenter.label(displayed, ["boat", "sea"], background=Background(threshold=0.1))
    overlay = label_overlay(found)
    np.testing.assert_array_equal(indices(overlay), found.label_map)
    assert [region["name"] for region in overlay["regions"]] == ["background", "boat", "sea"]
    assert sum(region["share"] for region in overlay["regions"]) == pytest.approx(1)
    assert overlay["has_background"]
    assert overlay["names"]
    for name in overlay["names"]:
        row, column = (int(name[side] * n) for side, n in zip("yx", displayed.size, strict=True))
        assert found.label_map[row, column] == name["region"]


@pytest.mark.parametrize("stage", [0, 1])
def test_the_viewer_is_given_every_pixels_group(grouped, stage):
    drawn = GroupOverlay.of(grouped, stage)
    overlay = drawn.overlay
    groups = grouped.group_map(stage)
    used = np.unique(groups)
    np.testing.assert_array_equal(used[indices(overlay)], groups)
    assert [region["name"] for region in overlay["regions"]][:2] == ["group 1", "group 2"]
    assert len(overlay["regions"]) == len(used)
    labels = [f"label {number}" for number in range(grouped.num_groups(stage))]
    labeled = drawn.labeled(labels)
    assert [region["name"] for region in labeled["regions"]] == [
        f"group {number}: label {group}" for number, group in enumerate(used, start=1)
    ]
    assert labeled["map"] == overlay["map"]


@pytest.mark.parametrize(
    ("size", "wanted"), [((90, 60), (640, 427)), ((800, 700), (800, 700)), ((9, 3000), (3, 1024))]
)
def test_what_is_seen_fits_a_screen(grouped, size, wanted):
    from dataclasses import replace

    other = replace(grouped, image=np.zeros((*size, 3), np.uint8))
    assert resized_for_display(other).size == wanted


def test_the_cache_is_bounded_and_the_least_recently_used_is_dropped(grouped):
    image = CachedImage(grouped, grouped, ())
    pixels = 2 * grouped.size[0] * grouped.size[1]
    cache = ImageCache(max_pixels=2 * pixels)
    first, second = cache.put(image), cache.put(image)
    assert cache.get(first) is image
    third = cache.put(image)
    assert cache.get(first) is image  # asked for after the second
    with pytest.raises(InputError, match="no longer in memory"):
        cache.get(second)
    fourth = cache.put(image, replaced=third)
    assert cache.get(first) is image
    assert cache.get(fourth) is image
    with pytest.raises(InputError, match="no image yet"):
        cache.get(None)
    assert ImageCache(max_pixels=1).put(image)


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

    async def make():  # within a loop, or Gradio leaves others open
        return build(Service(segmenter, "mine", RequestLimits(), Metrics()))

    page = asyncio.run(make())
    slider = next(one for one in page.blocks.values() if isinstance(one, gr.Slider))
    assert slider.value == usual
    assert slider.minimum <= usual <= slider.maximum


def test_suggestions_are_what_the_model_is_known_to_know(segmenter):
    assert suggestions(segmenter, "storybook") == CLASSES
    assert len(suggestions(segmenter, "mine")) == 171


def test_examples_are_photographs_first_and_drawn_scenes_after():
    found = examples()
    first, rest = found[: len(PHOTOGRAPHS)], found[len(PHOTOGRAPHS) :]
    for example, photograph in zip(first, PHOTOGRAPHS, strict=True):
        data = base64.b64decode(example["image"].removeprefix("data:image/jpeg;base64,"))
        assert data == photograph.path.read_bytes()
        assert photograph.credit in example["caption"]
        assert tuple(example["labels"]) == photograph.labels
    assert len(rest) == 5
    for example in rest:
        assert example["image"].startswith("data:image/png;base64,")
        assert set(example["labels"]) <= set(CLASSES)
