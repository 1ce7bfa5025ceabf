from dataclasses import replace

import pytest

from groupvit import InputError
from groupvit.segmentation.protocol import GROUPVIT, OURS, named


def test_the_published_protocol_is_as_published():
    assert (GROUPVIT.short_side, GROUPVIT.long_side) == (448, 2048)
    assert (GROUPVIT.window, GROUPVIT.stride, GROUPVIT.top_labels) == (448, 224, 5)
    assert GROUPVIT.templates == ("a photo of a {}.",)


def test_protocols_are_found_by_name():
    assert named("ours") is OURS
    with pytest.raises(InputError, match="there is no protocol 'theirs'; known are ours, groupvit"):
        named("theirs")


@pytest.mark.parametrize("field", ["short_side", "window", "stride", "top_labels"])
def test_numbers_below_one_are_refused(field):
    with pytest.raises(InputError, match=f"{field} is 0"):
        replace(GROUPVIT, **{field: 0})


def test_windows_may_not_leave_pixels_out():
    with pytest.raises(InputError, match="stride 30 is larger than window 20"):
        replace(OURS, window=20, stride=30)
