"""What the page keeps, and what its viewer is given."""

import asyncio
import base64
import io

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from groupvit.errors import InputError
from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.limits import Limits
from groupvit.serving.page import layers
from groupvit.serving.page.blocks import build, suggestions
from groupvit.serving.page.cache import Cache, Kept
from groupvit.serving.page.handlers import Handlers
from groupvit.storybook.scene import CLASSES
from groupvit.text.background import Background
from groupvit.weights import catalogue


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter(catalogue.load("storybook").model)


@pytest.fixture(scope="module")
def grouped(segmenter):
    return segmenter.group(["examples/harbour.png"])[0]


def indices(layer):
    data = base64.b64decode(layer["map"].partition(",")[2])
    bands = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    return bands[..., 0] + 256 * bands[..., 1]


def test_the_viewer_is_given_every_pixels_label(segmenter, grouped):
    seen = layers.fitted(grouped)
    found = segmenter.label(seen, ["boat", "sea"], background=Background(threshold=0.1))
    layer = layers.of_labels(found)
    np.testing.assert_array_equal(indices(layer), found.label_map)
    assert [entry["name"] for entry in layer["entries"]] == ["background", "boat", "sea"]
    assert sum(entry["share"] for entry in layer["entries"]) == pytest.approx(1)
    assert layer["background"]
    for place in layer["places"]:
        row, column = (int(place[side] * n) for side, n in zip("yx", seen.size, strict=True))
        assert found.label_map[row, column] == place["entry"]


@pytest.mark.parametrize("stage", [0, 1])
def test_the_viewer_is_given_every_pixels_group(grouped, stage):
    drawn = layers.Groups.of(grouped, stage)
    layer = drawn.layer
    groups = grouped.group_map(stage)
    used = np.unique(groups)
    np.testing.assert_array_equal(used[indices(layer)], groups)
    assert [entry["name"] for entry in layer["entries"]][:2] == ["group 1", "group 2"]
    assert len(layer["entries"]) == len(used)
    words = [f"word {number}" for number in range(grouped.num_groups(stage))]
    named = drawn.named(words)
    assert [entry["name"] for entry in named["entries"]] == [
        f"group {number}: word {group}" for number, group in enumerate(used, start=1)
    ]
    assert named["map"] == layer["map"]


@pytest.mark.parametrize(
    ("size", "wanted"), [((90, 60), (640, 427)), ((800, 700), (800, 700)), ((9, 3000), (3, 1024))]
)
def test_what_is_seen_fits_a_screen(grouped, size, wanted):
    from dataclasses import replace

    other = replace(grouped, image=np.zeros((*size, 3), np.uint8))
    assert layers.fitted(other).size == wanted


def test_the_shelf_is_bounded_and_the_oldest_makes_room(grouped):
    kept = Kept(grouped, grouped, ())
    pixels = 2 * grouped.size[0] * grouped.size[1]
    shelf = Cache(pixels=2 * pixels)
    first, second = shelf.put(kept), shelf.put(kept)
    assert shelf.get(first) is kept
    third = shelf.put(kept)
    assert shelf.get(first) is kept  # asked for after the second
    with pytest.raises(InputError, match="made room"):
        shelf.get(second)
    fourth = shelf.put(kept, instead_of=third)
    assert shelf.get(first) is kept
    assert shelf.get(fourth) is kept
    with pytest.raises(InputError, match="no image yet"):
        shelf.get(None)
    assert Cache(pixels=1).put(kept)


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
        return build(Handlers(lambda: None), segmenter, name="mine", limits=Limits())

    page = asyncio.run(make())
    slider = next(one for one in page.blocks.values() if isinstance(one, gr.Slider))
    assert slider.value == usual
    assert slider.minimum <= usual <= slider.maximum


def test_suggestions_are_what_the_model_is_known_to_know(segmenter):
    assert suggestions(segmenter, "storybook") == CLASSES
    assert len(suggestions(segmenter, "mine")) == 171
