import numpy as np
import pytest

from groupvit import Background, Segmenter

supervision = pytest.importorskip("supervision")
from integrations.as_detections import detections  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter.load("storybook")


@pytest.mark.parametrize("background", [None, Background(threshold=0.1)])
def test_every_label_that_is_found_is_a_detection(segmenter, background):
    result = segmenter("examples/harbour.png", ["boat", "sea", "sky"], background=background)
    found = detections(result)
    names = [name for name in result.labels if name != "background" and result.shares()[name] > 0]
    assert found.data["class_name"].tolist() == names
    for index, mask in zip(found.class_id, found.mask, strict=True):
        np.testing.assert_array_equal(mask, result.label_map == index)
    assert found.confidence.min() > 0
    assert found.confidence.max() <= 1
    drawn = supervision.MaskAnnotator().annotate(result.groups.image.copy(), found)
    assert (drawn != result.groups.image).any()


def test_nothing_found_is_no_detection(segmenter):
    result = segmenter("examples/harbour.png", ["boat"], background=Background(threshold=1.0))
    assert len(detections(result)) == 0
