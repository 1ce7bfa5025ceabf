import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from groupvit.evaluation.boundary_iou import boundary_overlap
from groupvit.evaluation.scores import IGNORED

NUM_LABELS = 3


def maps(values, height=7, width=9):
    numbers = st.lists(values, min_size=height * width, max_size=height * width)
    return numbers.map(lambda found: np.array(found, np.uint8).reshape(height, width))


def slow_region(labels, label, counted, distance):
    """The pixels of a class near others or the edge, one by one."""
    height, width = labels.shape
    region = set()
    for y in range(height):
        for x in range(width):
            if labels[y, x] != label or not counted[y, x]:
                continue
            for v in range(y - distance, y + distance + 1):
                for u in range(x - distance, x + distance + 1):
                    beyond = not (0 <= v < height and 0 <= u < width)
                    if beyond or (counted[v, u] and labels[v, u] != label):
                        region.add((y, x))
    return region


@given(maps(st.integers(0, 2) | st.just(IGNORED)), maps(st.integers(0, 2)))
def test_regions_are_those_that_a_count_pixel_by_pixel_finds(truth, prediction):
    counted = truth != IGNORED
    found = boundary_overlap(truth, prediction, NUM_LABELS)
    for label in range(NUM_LABELS):
        right = slow_region(truth, label, counted, 1)
        said = slow_region(prediction, label, counted, 1)
        assert found[label].tolist() == [len(right & said), len(right | said)]


def test_regions_are_two_hundredths_of_the_diagonal_wide():
    truth = np.zeros((90, 120), np.uint8)  # 150 pixels across: 3 pixels
    truth[:, 60:] = 1
    shifted = np.roll(truth, 3, axis=1)
    shifted[:, :3] = 0
    both, either = boundary_overlap(truth, shifted, 2)[0]
    inside = 90 * 60 - (90 - 6) * (60 - 6)  # of the left half, all sides
    assert either > both > 0
    assert boundary_overlap(truth, truth, 2)[0].tolist() == [inside, inside]


def test_maps_that_agree_share_all_their_borders():
    truth = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3
    assert (boundary_overlap(truth, truth.astype(np.uint16), 3)[:, 0] == 4).all()
