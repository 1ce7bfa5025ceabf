import numpy as np
import pytest

from groupvit.evaluation.benchmarks.benchmark import Sample
from groupvit.evaluation.folds.counting import EPISODE, NAME_TEST, count, from_values, summed
from groupvit.evaluation.folds.scores import (
    FLOORS,
    MODEL,
    NAMELESS,
    floor_maps,
    names_of_maps,
    scores_of,
)
from tests.evaluation.folds.reference import reference


def drawn(seed, num=4, classes=(1, 2, 3)):
    """Random masks and label maps: samples, painted maps by class, and maps of the name test."""
    rng = np.random.default_rng(seed)
    images = []
    for index in range(num):
        mask = rng.choice([0, 1, 2, 255], size=(5 + index, 7)).astype(np.uint8)
        shown = [label for label in classes if (mask == label).any()]
        maps = {label: rng.random(mask.shape) < 0.4 for label in shown}
        absent = {label: rng.random(mask.shape) < 0.2 for label in classes if label not in shown}
        images.append((Sample(f"{index}", mask[..., None].repeat(3, 2), mask), maps, absent))
    return images


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_the_slow_reference(seed):
    images = drawn(seed)
    counts = [
        count(index, sample, maps, absent, has_background=True)
        for index, (sample, maps, absent) in enumerate(images)
    ]
    pairs = {(index, label): 1 for index, one in enumerate(images) for label in one[1]}
    table = summed(counts, pairs, num_maps=5, num_classes=4)
    for place, name in enumerate(names_of_maps(has_background=True)):
        episodes, name_tests = [], []
        for sample, maps, absent in images:
            floors = floor_maps(sample.mask, has_background=True)
            for label, of_model in maps.items():
                painted = (of_model, *floors)[place]
                episodes.append((label, painted.tolist(), sample.mask.tolist()))
            for of_model in absent.values():
                painted = (of_model, *floors)[place]
                name_tests.append((painted.tolist(), sample.mask.tolist()))
        found = scores_of(table[place, EPISODE][1:], table[place, NAME_TEST][1:], ("a", "b", "c"))
        expected = reference(episodes, name_tests)
        assert (found.miou, found.fb_iou, found.name_test) == pytest.approx(expected), name


def test_an_episode_counts_as_often_as_it_is_listed():
    [(sample, maps, _)] = drawn(0, num=1)
    [counted] = [count(0, sample, maps, {}, has_background=True)]
    label = next(iter(maps))
    once, thrice = (
        summed([counted], {(0, label): times}, num_maps=5, num_classes=4) for times in (1, 3)
    )
    np.testing.assert_array_equal(3 * once, thrice)
    assert once[0, EPISODE].any()


def test_floors_are_what_they_are_called():
    mask = np.zeros((20, 40), np.uint8)
    mask[:10, :20], mask[15:, 30:] = 3, 255
    by_name = dict(
        zip(
            names_of_maps(has_background=True)[1:],
            floor_maps(mask, has_background=True),
            strict=True,
        )
    )
    assert list(by_name) == [*FLOORS, NAMELESS]
    assert not by_name["all others"].any()
    assert by_name["all foreground"].all()
    box = by_name["center box of half the area"]
    assert box.mean() == pytest.approx(0.5, abs=0.02)
    np.testing.assert_array_equal(box, box[::-1, ::-1])
    np.testing.assert_array_equal(by_name[NAMELESS], mask == 3)
    assert names_of_maps(has_background=False) == (MODEL, *FLOORS)
    assert len(floor_maps(mask, has_background=False)) == len(FLOORS)


def test_without_pixels_there_is_no_score():
    nothing = np.zeros((2, 4), np.int64)
    found = scores_of(nothing, nothing, ("a", "b"))
    assert found.iou == (None, None)
    assert found.name_test is None
    assert np.isnan(found.miou)
    assert np.isnan(found.fb_iou)


def test_areas_come_back_from_json_and_damaged_ones_are_refused():
    [(sample, maps, absent)] = drawn(1, num=1)
    counted = count(3, sample, maps, absent, has_background=True)
    again = from_values(counted.to_values(), num_maps=5, num_classes=4)
    assert (again.index, again.name) == (3, "0")
    np.testing.assert_array_equal(again.rows, counted.rows)
    for changed in ({"index": -1}, {"index": "1"}, {"name": 2}, {"rows": [[0, 0, 9, 1, 1, 1, 1]]}):
        with pytest.raises(ValueError, match=r"index|class"):
            from_values(counted.to_values() | changed, num_maps=5, num_classes=4)
    with pytest.raises(ValueError, match="more pixels"):
        from_values(
            counted.to_values() | {"rows": [[0, 0, 1, 0, 0, 0, 2**50]]}, num_maps=5, num_classes=4
        )
