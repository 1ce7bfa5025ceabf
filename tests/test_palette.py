"""Colors that can be told apart, by most eyes."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from groupvit.palette import PALETTE, colors, text_color

# Machado, Oliveira, Fernandes 2009: full loss of one kind of cone, on linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.fixture(scope="module")
def script():
    path = Path(__file__).parents[1] / "scripts" / "make_palette.py"
    spec = importlib.util.spec_from_file_location("make_palette", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def linear(rgb):
    value = rgb / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def nearest(script, rgb, sight="normal"):
    """Give the smallest distance in OKLab between two of the colors, as somebody sees them."""
    seen = np.clip(linear(rgb) @ np.array(SIGHT[sight]).T, 0, 1)
    lab = np.cbrt(seen @ script.TO_CONES.T) @ script.TO_LAB.T
    distances = np.linalg.norm(lab[:, None] - lab, axis=-1)
    return distances[np.triu_indices(len(rgb), 1)].min()


def test_the_script_makes_the_palette(script):
    assert np.array_equal(script.make(), PALETTE)


@pytest.mark.parametrize("sight", SIGHT)
def test_the_first_dozen_and_the_background_differ_for_every_sight(script, sight):
    assert nearest(script, PALETTE[:13], sight) > 0.1


@pytest.mark.parametrize(
    ("count", "distance"), [(13, 0.12), (60, 0.085), (172, 0.055), (256, 0.045)]
)
def test_the_first_colors_differ_clearly(script, count, distance):
    assert nearest(script, PALETTE[:count]) > distance


def test_the_palette_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        PALETTE[0] = 0


def test_the_background_comes_first_and_only_where_there_is_one():
    assert np.array_equal(colors(5, background=True), PALETTE[:5])
    assert np.array_equal(colors(4, background=False), PALETTE[1:5])


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 255, 256, 257, 1000])
def test_there_are_as_many_colors_as_asked_and_the_dark_one_at_most_once(count, background):
    result = colors(count, background=background)
    assert len(result) == count
    assert (result == PALETTE[0]).all(axis=1).sum() == (background and count > 0)


def test_colors_repeat_when_they_run_out():
    result = colors(600, background=False)
    assert np.array_equal(result[:345], result[255:])


def test_text_stands_out_against_every_color():
    for rgb in PALETTE:
        behind, ink = (
            linear(np.array(c)) @ (0.2126, 0.7152, 0.0722) for c in (rgb, text_color(rgb))
        )
        assert (max(behind, ink) + 0.05) / (min(behind, ink) + 0.05) > 4.5


@pytest.mark.parametrize(
    ("rgb", "ink"), [((255, 255, 255), (0, 0, 0)), ((0, 0, 0), (255, 255, 255))]
)
def test_text_is_black_on_white_and_white_on_black(rgb, ink):
    assert text_color(rgb) == ink
