from dataclasses import replace

import numpy as np
import pytest

from groupvit.demo.colors import class_colors
from groupvit.demo.rows import draw_row
from groupvit.segmentation.segmenter import Segmenter
from groupvit.storybook.scene import CLASSES


@pytest.fixture(scope="module")
def page(scenes):
    return scenes.draw(0)


@pytest.fixture(scope="module")
def row(segmenter, page):
    return draw_row(segmenter, page, CLASSES)


def test_a_row_shows_image_truth_prediction_and_the_groups_of_every_stage(row, page):
    titles = [panel.title for panel in row.panels]
    assert titles == ["Image", "Truth", "Prediction", "Groups, stage 1", "Groups, stage 2"]
    assert row.caption == page.captions[0]


def test_a_network_of_one_grouping_has_a_row_of_four(tiny_config, build, page):
    stages = (tiny_config.image.stages[0], tiny_config.image.stages[-1])
    model = build(replace(tiny_config, image=replace(tiny_config.image, stages=stages)))
    assert len(draw_row(Segmenter(model), page, CLASSES).panels) == 4


def test_all_images_are_enlarged_alike_by_a_whole_factor(row):
    assert {panel.image.size for panel in row.panels} == {(24 * 13, 24 * 13)}


def test_the_legend_of_the_truth_is_the_mask(row, page):
    words = {word.name: word for word in row.panels[1].legend}
    for index, name in enumerate(CLASSES):
        share = (page.mask == index).mean()
        assert (name in words) == (share > 0)
        if share:
            assert words[name].share == pytest.approx(share)
            assert words[name].color == tuple(class_colors()[index].tolist())


def test_legends_begin_with_the_largest(row):
    for panel in row.panels[1:3]:
        shares = [word.share for word in panel.legend]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1)


def test_the_share_of_right_pixels_is_that_of_the_scene_itself(segmenter, row, page):
    right = (segmenter(page.image, CLASSES).label_map == page.mask).mean()
    assert row.panels[2].note == f"{right:.0%} of the pixels are right"


def test_every_image_has_words_for_those_who_do_not_see_it(row):
    assert all(panel.alt.startswith(panel.title) for panel in row.panels[1:])
    assert row.caption in row.panels[0].alt


def test_groups_have_their_mean_color(segmenter, row, page):
    groups = segmenter.group([page.image])[0].group_map(0)
    assert row.panels[3].note == f"{len(np.unique(groups))} in use"
