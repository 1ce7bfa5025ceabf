import numpy as np

from groupvit.demo.colors import class_colors
from groupvit.storybook.scene import CLASSES


def test_every_class_has_a_color():
    assert class_colors().shape == (len(CLASSES), 3)


def test_no_two_colors_are_alike():
    table = class_colors().astype(int)
    apart = np.linalg.norm(table[:, None] - table, axis=-1)
    assert apart[~np.eye(len(table), dtype=bool)].min() > 40
