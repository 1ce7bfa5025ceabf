import random
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from groupvit.storybook.layout import lay_out
from groupvit.storybook.pen import Light, Pen, lit, mix, shade
from groupvit.storybook.regions import BACKDROPS
from groupvit.storybook.stuff import MATERIALS, STUFF, paint
from groupvit.storybook.textures import PATTERN_SCALE, pattern
from groupvit.storybook.things import THINGS


@pytest.fixture
def canvas():
    return Image.new("RGB", (100, 100)), Image.new("L", (100, 100))


@pytest.mark.parametrize("kind", THINGS)
@pytest.mark.parametrize("ground", STUFF)
def test_a_thing_fills_its_box_and_marks_what_it_paints(kind, ground, canvas):
    image, mask = canvas
    pen = Pen(image, mask, "day")
    pen.move_to(7, x=0.5, foot=0.8, height=0.3)
    THINGS[kind].draw(pen, random.Random(1), ground)
    rows, columns = np.nonzero(np.asarray(mask))
    assert set(np.unique(np.asarray(mask))) == {0, 7}
    assert 0.7 < np.ptp(rows) / 30 < 1.15
    assert 0.45 < np.ptp(columns) / (30 * THINGS[kind].aspect) < 1.3


@pytest.mark.parametrize("kind", THINGS)
def test_the_adjective_of_a_thing_is_one_word(kind, canvas):
    pen = Pen(*canvas, "night")
    words = {THINGS[kind].draw(pen, random.Random(draw), "grass") for draw in range(20)}
    assert all(word.isalpha() for word in words)


def test_details_leave_the_mask_alone(canvas):
    image, mask = canvas
    Pen(image, mask, "day").box(-0.5, 0.0, 0.5, 1.0, (255, 0, 0), detail=True)
    assert np.asarray(image).any()
    assert not np.asarray(mask).any()


def test_what_glows_keeps_its_color_at_night(canvas):
    image, mask = canvas
    pen = Pen(image, mask, "night")
    pen.box(-0.5, 0.0, 0.0, 1.0, (250, 200, 100), glows=True)
    pen.box(0.05, 0.0, 0.5, 1.0, (250, 200, 100))
    assert image.getpixel((20, 50)) == (250, 200, 100)
    assert image.getpixel((80, 50)) == lit((250, 200, 100), "night")


def test_a_flipped_thing_is_the_mirror_image(canvas):
    masks = []
    for flipped in (False, True):
        image, mask = (one.copy() for one in canvas)
        pen = Pen(image, mask, "day")
        pen.move_to(1, x=0.5, foot=0.9, height=0.5, flipped=flipped)
        THINGS["car"].draw(pen, random.Random(3), "road")
        masks.append(np.asarray(mask))
    assert np.mean(masks[0] == masks[1][:, ::-1]) > 0.97


def test_colors_are_shaded_between_black_and_white():
    assert shade((100, 150, 200), -1.0) == (0, 0, 0)
    assert shade((100, 150, 200), 1.0) == (255, 255, 255)
    assert shade((100, 150, 200), 0.0) == mix((100, 150, 200), (1, 2, 3), 0.0) == (100, 150, 200)


@pytest.mark.parametrize("name", MATERIALS)
@pytest.mark.parametrize("light", get_args(Light))
def test_stuff_has_a_texture(name, light):
    image, adjectives = paint(name, random.Random(0), side=64, height=40, light=light)
    assert image.size == (64, 40)
    assert np.asarray(image).std(axis=(0, 1)).max() > 1
    assert adjectives


def test_a_pattern_is_larger_than_the_canvas_and_drawn_once():
    assert pattern("waves", 64).width == PATTERN_SCALE * 64
    assert pattern("waves", 64) is pattern("waves", 64)


def test_backdrops_consist_of_stuff():
    assert {name for stuffs in BACKDROPS for name in stuffs} == set(STUFF)


def test_every_thing_lies_on_a_ground_that_suits_it():
    for draw in range(300):
        layout = lay_out(random.Random(draw))
        here = {region.stuff for region in layout.regions}
        for placed in layout.things:
            assert placed.ground in here
            assert placed.ground in THINGS[placed.kind].grounds
            assert placed.box[0] > -0.3
            assert placed.box[2] < 1.3


def test_the_sun_never_shines_at_night():
    layouts = [lay_out(random.Random(draw)) for draw in range(600)]
    nights = [layout for layout in layouts if layout.light == "night"]
    assert nights
    assert not any(placed.kind == "sun" for layout in nights for placed in layout.things)
