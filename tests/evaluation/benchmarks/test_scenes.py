import numpy as np
import pytest

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.storybook.scene import CLASSES, scene


def test_scenes_are_a_benchmark():
    scenes = Scenes(num=3)
    assert isinstance(scenes, Benchmark)
    assert (len(scenes), scenes.labels, scenes.has_background) == (3, CLASSES, False)


def test_they_are_test_pages_of_the_storybook():
    page = scene(1, seed=5, split="test", size=20)
    name, image, mask = Scenes(num=2, seed=5, size=20)[1]
    assert name == "scene 1"
    np.testing.assert_array_equal(image, page.image)
    np.testing.assert_array_equal(mask, page.mask)


def test_another_seed_draws_others():
    assert (Scenes(num=1, seed=1)[0].image != Scenes(num=1, seed=2)[0].image).any()


def test_without_a_seed_they_are_none_of_the_first_storybook():
    assert (Scenes(num=1)[0].image != scene(0, split="test").image).any()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"num": 0}, "num is 0; give at least 1 scene"),
        ({"num": 1, "size": 8}, "size is 8; give 16 to 512 pixels"),
    ],
)
def test_what_cannot_be_drawn_is_refused(settings, complaint):
    with pytest.raises(InputError, match=complaint):
        Scenes(**settings)


def test_stuff_may_be_background():
    whole, things = Scenes(num=1), Scenes(num=1, only_things=True)
    assert (things.key, things.has_background, len(things.labels)) == ("storybook-things", True, 15)
    for value in np.unique(whole[0].mask):
        found = things[0].mask[whole[0].mask == value]
        name = ("background", *things.labels)[found[0]]
        assert (found == found[0]).all()
        assert name == (CLASSES[value] if CLASSES[value] in things.labels else "background")
