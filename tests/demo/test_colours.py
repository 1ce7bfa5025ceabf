import numpy as np

from groupvit.demo.colours import class_colours
from groupvit.storybook.scene import CLASSES


def test_every_class_has_a_colour():
    assert class_colours().shape == (len(CLASSES), 3)


def test_no_two_colours_are_alike():
    table = class_colours().astype(int)
    apart = np.linalg.norm(table[:, None] - table, axis=-1)
    assert apart[~np.eye(len(table), dtype=bool)].min() > 40
