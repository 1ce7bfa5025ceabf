from dataclasses import replace

import pytest

from groupvit import InputError
from groupvit.model.inference import DEFAULT_INFERENCE, InferenceConfig
from groupvit.segmentation.protocol import GROUPVIT, OURS, PROTOCOLS, QUICK, SCLIP, TCL, named
from groupvit.segmentation.refinement import Refinement


def test_the_published_protocol_is_as_published():
    assert (GROUPVIT.short_side, GROUPVIT.long_side) == (448, 2048)
    assert (GROUPVIT.window, GROUPVIT.stride, GROUPVIT.top_labels) == (448, 224, 5)
    assert GROUPVIT.templates == ("a photo of a {}.",)


def test_protocols_are_found_by_name():
    assert named("ours") is OURS
    with pytest.raises(
        InputError, match="there is no protocol 'theirs'; known are ours, quick, groupvit"
    ):
        named("theirs")


@pytest.mark.parametrize("field", ["short_side", "window", "stride", "top_labels"])
def test_numbers_below_one_are_refused(field):
    with pytest.raises(InputError, match=f"{field} is 0"):
        replace(GROUPVIT, **{field: 0})


def test_windows_may_not_leave_pixels_out():
    with pytest.raises(InputError, match="stride 30 is larger than window 20"):
        replace(OURS, window=20, stride=30)


PHOTOGRAPHS = InferenceConfig(
    short_side=320, naming="parts", other_sides=(224, 448), scale=20.0, refinement=True
)


@pytest.mark.parametrize("protocol", [GROUPVIT, TCL, SCLIP])
def test_published_protocols_do_not_depend_on_the_model(protocol):
    assert protocol.synonyms == "max"
    assert protocol.for_model(PHOTOGRAPHS) == protocol == protocol.for_model(DEFAULT_INFERENCE)


def test_ours_takes_what_the_model_recommends():
    found = OURS.for_model(PHOTOGRAPHS)
    assert (found.short_side, found.naming, found.synonyms) == (320, "parts", "sum")
    assert (found.other_sides, found.scale) == ((224, 448), 20.0)
    assert found.refinement == Refinement()
    plain = OURS.for_model(DEFAULT_INFERENCE)
    assert (plain.other_sides, plain.scale, plain.refinement) == ((), None, None)


def test_quick_leaves_out_what_takes_time():
    found = QUICK.for_model(PHOTOGRAPHS)
    assert found == replace(
        OURS.for_model(PHOTOGRAPHS), name="quick", other_sides=(), refinement=None
    )
    assert named("quick") is QUICK


def test_what_a_protocol_sets_holds_for_every_model():
    own = Refinement(steps=3)
    protocol = replace(OURS, scale=None, other_sides=(96,), refinement=own)
    found = protocol.for_model(PHOTOGRAPHS)
    assert (found.scale, found.other_sides, found.refinement) == (None, (96,), own)
    assert replace(OURS, refinement=None).for_model(PHOTOGRAPHS).refinement is None
    by_levels = replace(OURS, naming="levels").for_model(PHOTOGRAPHS)
    assert (by_levels.naming, by_levels.other_sides) == ("levels", ())
    with pytest.raises(InputError, match="other_sides are for naming 'parts'"):
        replace(OURS, other_sides=(96,)).for_model(DEFAULT_INFERENCE)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_a_protocol_for_a_model_stays_for_it(protocol):
    found = protocol.for_model(PHOTOGRAPHS)
    assert found.for_model(PHOTOGRAPHS) == found


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": 0.0}, "scale is 0.0"),
        ({"other_sides": (0,)}, "other_sides is"),
        ({"other_sides": (96,), "naming": "levels"}, "other_sides are for naming 'parts'"),
        ({"other_sides": (96,), "border": "cut"}, "other_sides are for naming 'parts'"),
    ],
)
def test_scale_and_other_sides_are_checked(settings, message):
    with pytest.raises(InputError, match=message):
        replace(OURS, **settings)
