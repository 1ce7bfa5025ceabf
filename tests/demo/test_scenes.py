import numpy as np
import pytest

from groupvit.demo.scenes import Scenes
from groupvit.errors import InputError
from groupvit.evaluation.benchmark import Benchmark
from groupvit.storybook.scene import CLASSES, scene


def test_scenes_are_a_benchmark():
    scenes = Scenes(num=3)
    assert isinstance(scenes, Benchmark)
    assert (len(scenes), scenes.labels, scenes.has_background) == (3, CLASSES, False)


def test_they_are_test_pages_of_the_storybook():
    page = scene(1, seed=5, split="test", size=20)
    picture, mask = Scenes(num=2, seed=5, size=20)[1]
    np.testing.assert_array_equal(picture, page.image)
    np.testing.assert_array_equal(mask, page.mask)


def test_another_seed_draws_others():
    assert (Scenes(num=1, seed=1)[0].picture != Scenes(num=1, seed=2)[0].picture).any()


def test_without_a_seed_they_are_none_of_the_first_storybook():
    assert (Scenes(num=1)[0].picture != scene(0, split="test").image).any()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"num": 0}, "0 scenes are asked for"),
        ({"num": 1, "size": 8}, "size is 8; give 16 to 512 pixels"),
    ],
)
def test_what_cannot_be_drawn_is_refused(settings, complaint):
    with pytest.raises(InputError, match=complaint):
        Scenes(**settings)
