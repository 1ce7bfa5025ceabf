import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupvit.segmentation.windows import Box, boxes

lengths = st.integers(1, 90)


@given(lengths, lengths, st.integers(1, 40), st.data())
def test_windows_cover_every_pixel_and_stay_inside(height, width, window, data):
    stride = data.draw(st.integers(1, window))
    covered = np.zeros((height, width), dtype=int)
    for box in boxes(height, width, window=window, stride=stride):
        assert covered[box.slices].shape == (min(window, height), min(window, width))
        covered[box.slices] += 1
    assert covered.min() >= 1


@given(lengths, st.integers(1, 40), st.data())
def test_there_are_as_many_windows_as_published(length, window, data):
    stride = data.draw(st.integers(1, window))
    expected = max(length - window + stride - 1, 0) // stride + 1
    assert len(boxes(length, 5, window=window, stride=stride)) == expected * len(
        boxes(1, 5, window=window, stride=stride)
    )


def test_without_a_size_one_window_is_the_whole_image():
    assert boxes(30, 70, window=None, stride=1) == [Box(0, 0, 30, 70)]


@pytest.mark.parametrize(("width", "lefts"), [(448, [0]), (449, [0, 1]), (672, [0, 224])])
def test_the_last_window_ends_at_the_border(width, lefts):
    assert [box.left for box in boxes(448, width, window=448, stride=224)] == lefts
