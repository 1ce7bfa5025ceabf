from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from groupvit import Background, Segmenter

pytest.importorskip("cvat_sdk")
from cvat_sdk.masks import decode_mask

from integrations.cvat_function import create

pytestmark = pytest.mark.slow
IMAGE = "examples/harbour.png"


@pytest.fixture(scope="module")
def wanted():
    return Segmenter.load("storybook")(
        IMAGE, ["boat|ship", "sea"], background=Background(threshold=0.0)
    )


@pytest.fixture(scope="module")
def function():
    return create("boat|ship, sea", model="storybook", background=0.0)


def test_masks_are_those_of_the_segmenter(function, wanted):
    assert [label.name for label in function.spec.labels] == ["boat", "sea"]
    shapes = function.detect(SimpleNamespace(conv_mask_to_poly=False), Image.open(IMAGE))
    height, width = wanted.label_map.shape
    assert {shape.label_id for shape in shapes} == {0, 1}
    for shape in shapes:
        assert shape.type.value == "mask"
        mask = decode_mask(shape.points, image_width=width, image_height=height)
        np.testing.assert_array_equal(mask, wanted.label_map == shape.label_id + 1)


def test_polygons_are_given_where_they_are_asked_for(function, wanted):
    shapes = function.detect(SimpleNamespace(conv_mask_to_poly=True), Image.open(IMAGE))
    assert {shape.label_id for shape in shapes} == {0, 1}
    height, width = wanted.label_map.shape
    for shape in shapes:
        x, y = np.reshape(shape.points, (-1, 2)).T
        assert shape.type.value == "polygon"
        assert len(x) >= 3
        assert 0 <= x.min() < x.max() <= width
        assert 0 <= y.min() < y.max() <= height


def test_polygons_hide_no_label_that_lies_inside_another():
    labels = "cloud,sun,bird,boat,house,tree,sea,sky"
    function, image = create(labels, model="storybook"), Image.open(IMAGE).convert("RGB")
    shapes = function.detect(SimpleNamespace(conv_mask_to_poly=True), image)
    expected = Segmenter.load("storybook")(image, [labels]).label_map
    drawn = np.full(expected.shape, 255)
    for shape in shapes:  # CVAT draws later shapes above earlier ones
        points = np.reshape(shape.points, (-1, 2)).astype(int)
        inside = filled(points, expected.shape)
        np.testing.assert_array_equal(expected[inside], shape.label_id)  # holes are kept
        drawn[inside] = shape.label_id
    np.testing.assert_array_equal(drawn, expected)


def filled(points, shape):
    """Pixels inside an outline along the edges of pixels, by the even-odd rule."""
    crossings = np.zeros(shape, int)
    for (x, y), (next_x, next_y) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if x == next_x:
            crossings[min(y, next_y) : max(y, next_y), x:] += 1
        elif y != next_y:  # a seam is walked to and fro
            seams = sorted([(x, y), (next_x, next_y)])
            (left, top), (right, bottom) = seams
            for row in range(min(top, bottom), max(top, bottom)):
                share = (row + 0.5 - top) / (bottom - top)
                column = int(np.ceil(left + share * (right - left) - 0.5))
                crossings[row, max(column, 0) :] += 1
    return crossings % 2 == 1
