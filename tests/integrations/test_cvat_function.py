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
