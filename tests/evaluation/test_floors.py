from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from groupvit.evaluation.floors import blind_grid, color_and_place, k_means, lab
from groupvit.evaluation.oracle import oracle_table
from groupvit.evaluation.scores import overlap, scores_of
from groupvit.evaluation.verdict import one_class

VOC = Path(__file__).parents[3] / "shared/data/voc2012"


@pytest.mark.parametrize(("num", "rows", "columns"), [(1, 1, 1), (8, 2, 4), (16, 4, 4), (24, 4, 6)])
def test_a_grid_is_as_square_as_its_number_allows(num, rows, columns):
    expected = np.arange(num).reshape(rows, columns).repeat(5, axis=0).repeat(3, axis=1)
    np.testing.assert_array_equal(blind_grid(expected.shape, num), expected)


@pytest.mark.parametrize("num", range(1, 50))
def test_a_grid_has_as_many_parts_as_were_asked_for(num):
    assert np.unique(blind_grid((60, 90), num)).tolist() == list(range(num))


def test_lab_has_its_known_colors():
    colors = np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
    expected = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86]]
    np.testing.assert_allclose(lab(colors), expected, atol=0.02)


def test_clusters_that_lie_apart_are_found():
    values = np.repeat(np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]]), 7, axis=0)
    clusters = k_means(values, 3)
    assert len(np.unique(clusters.reshape(3, 7), axis=1).T) == 1
    assert len(np.unique(clusters)) == 3
    assert len(np.unique(k_means(values, 9))) == 3


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (64, 48)])
def test_any_image_has_parts(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    parts = color_and_place(image, 5, working_size=(32, 32))
    assert parts.shape == size
    assert parts.max() < 5
    np.testing.assert_array_equal(parts, color_and_place(image, 5, working_size=(32, 32)))


def test_parts_follow_colors():
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, 17:] = (250, 200, 20)
    parts = color_and_place(image, 2, working_size=(40, 40))
    assert np.unique(parts[:, :16]).size == np.unique(parts[:, 18:]).size == 1
    assert parts[0, 0] != parts[0, -1]


@pytest.mark.slow
@pytest.mark.skipif(not VOC.exists(), reason="needs the photographs of VOC 2012")
def test_floors_of_photographs_are_the_known_ones():
    grid, colored, truth = (np.zeros((21, 21), np.int64) for _ in range(3))
    for name in (VOC / "val_small.txt").read_text().split():
        mask = np.array(Image.open(VOC / f"masks/{name}.png"))
        image = np.array(Image.open(VOC / f"images/{name}.jpg").convert("RGB"))
        parts = color_and_place(image, 8, working_size=mask.shape)
        grid += oracle_table(overlap(mask, blind_grid(mask.shape, 8), (21, 8)))
        colored += oracle_table(overlap(mask, parts, (21, 8)))
        truth += overlap(mask, np.zeros_like(mask), (21, 21))
    labels = (VOC / "classes.txt").read_text().split()
    found = [scores_of(table, labels).miou for table in (grid, colored)]
    found.append(one_class(truth, labels, has_background=True).miou)
    assert [round(100 * miou, 1) for miou in found] == [46.1, 59.3, 3.4]
