import random

import numpy as np
import pytest

from groupvit.evaluation.floors import color_and_place
from groupvit.evaluation.oracle import oracle_table
from groupvit.evaluation.scores import overlap, scores_of
from groupvit.storybook.patterned import PATTERNS, _planes, coat
from groupvit.storybook.scene import CLASSES, scene
from groupvit.storybook.stuff import MATERIALS, SKIES

SIDE = 160


@pytest.fixture(scope="module")
def scenes():
    return [scene(index, split="test", patterned=True) for index in range(50)]


def figure(name, seed=0):
    return PATTERNS[name](*_planes(SIDE, random.Random(seed)))


def test_every_class_has_a_pattern():
    assert set(PATTERNS) == set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_a_pattern_has_about_half_of_the_area_in_each_color(name):
    assert 0.35 < figure(name).mean() < 0.65


def spectrum(name, seed):
    """Strength of coarse frequencies and directions, whatever the shift."""
    values = np.abs(np.fft.fft2(figure(name, seed) - figure(name, seed).mean()))
    half = np.fft.fftshift(values)[SIDE // 2 - 40 : SIDE // 2 + 40, SIDE // 2 - 40 : SIDE // 2 + 40]
    blurred = half.reshape(16, 5, 16, 5).mean(axis=(1, 3)).ravel()
    return blurred / np.linalg.norm(blurred)


def test_no_two_patterns_are_alike():
    first = np.stack([np.mean([spectrum(name, s) for s in range(6)], axis=0) for name in CLASSES])
    other = np.stack(
        [np.mean([spectrum(name, s) for s in range(6, 12)], axis=0) for name in CLASSES]
    )
    assert ((first @ other.T).argmax(axis=1) == np.arange(len(CLASSES))).all()


def test_masks_are_those_of_the_storybook(scenes):
    for index, drawn in enumerate(scenes[:20]):
        assert np.array_equal(drawn.mask, scene(index, split="test").mask)


def test_the_storybook_without_patterns_stays_as_it_was():
    assert not np.array_equal(scene(3).image, scene(3, patterned=True).image)
    assert np.array_equal(scene(3).image, scene(3, patterned=False).image)


def test_a_scene_has_few_colors():
    mask = np.asarray(scene(5, patterned=True).mask)
    painted = np.asarray(coat(mask, CLASSES, random.Random(0)))
    assert len(np.unique(painted.reshape(-1, 3), axis=0)) <= 3


def test_captions_name_no_color_and_no_material(scenes):
    materials = [variant for some in MATERIALS.values() for variant in some]
    skies = [variant for some in SKIES.values() for variant in some]
    adjectives = {word for variant in (*materials, *skies) for word in variant.adjectives}
    adjectives -= {"bright"}  # "on a bright day" describes no class
    words = {
        word.strip(".,") for drawn in scenes for text in drawn.captions for word in text.split()
    }
    assert not adjectives & words
    assert {"tree", "sky"} <= words


def test_color_and_place_do_not_find_the_classes(scenes):
    def oracle(drawn_scenes):
        tables = [
            oracle_table(
                overlap(
                    drawn.mask,
                    color_and_place(drawn.image, 8, working_size=(80, 80)),
                    (len(CLASSES), 8),
                )
            )
            for drawn in drawn_scenes
        ]
        return scores_of(sum(tables), CLASSES).miou

    plain = [scene(index, split="test") for index in range(len(scenes))]
    assert oracle(scenes) < 0.47 < 0.6 < oracle(plain)
