import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from groupvit.evaluation.oracle import ious, oracle_map, oracle_table
from groupvit.evaluation.scores import IGNORED, overlap

NUM_LABELS = 4


def maps(values, length=24):
    numbers = st.lists(values, min_size=length, max_size=length)
    return numbers.map(lambda found: np.array(found, np.uint8).reshape(4, 6))


truths = maps(st.integers(0, NUM_LABELS - 1) | st.just(IGNORED))
groupings = maps(st.integers(0, 5))


def slow_oracle(truth, groups):
    """Each group's class, by trying all of them."""
    result = np.zeros_like(truth)
    counted = truth != IGNORED
    for group in np.unique(groups):
        mine = (groups == group) & counted
        ious = []
        for label in range(NUM_LABELS):
            of_label = truth == label
            ious.append((mine & of_label).sum() / max(1, (mine | of_label).sum()))
        result[groups == group] = ious.index(max(ious))
    return result


@given(truths, groupings)
def test_it_is_the_oracle_that_tries_every_class(truth, groups):
    found = oracle_map(truth, groups, NUM_LABELS)
    np.testing.assert_array_equal(found, slow_oracle(truth, groups))


@given(truths, groupings)
def test_the_numbers_of_groups_do_not_matter(truth, groups):
    renamed = 60_000 - 7 * groups.astype(np.uint16)
    np.testing.assert_array_equal(
        oracle_map(truth, renamed, NUM_LABELS), oracle_map(truth, groups, NUM_LABELS)
    )


@given(truths)
def test_groups_that_are_the_classes_give_the_truth(truth):
    counted = truth != IGNORED
    np.testing.assert_array_equal(oracle_map(truth, truth, NUM_LABELS)[counted], truth[counted])


@given(truths)
def test_pixels_that_stand_alone_give_the_truth(truth):
    alone = np.arange(truth.size, dtype=np.uint16).reshape(truth.shape)
    found, counted = oracle_map(truth, alone, NUM_LABELS), truth != IGNORED
    np.testing.assert_array_equal(found[counted], truth[counted])


def test_of_level_classes_the_first_counts():
    truth = np.array([[2, 1]], np.uint8)
    assert oracle_map(truth, np.zeros_like(truth), NUM_LABELS).tolist() == [[1, 1]]


def test_ignored_pixels_give_a_group_no_size():
    truth = np.array([[3, 3, IGNORED, IGNORED, 1, 1, 1, 1, 1]], np.uint8)
    groups = np.array([[0, 0, 0, 0, 0, 0, 0, 1, 1]], np.uint8)
    # Of group 0 class 1 has 3 of 7 and class 3 has 2 of 5; with the ignored both would have less.
    assert oracle_map(truth, groups, NUM_LABELS).tolist() == [[1] * 9]


def test_the_best_overlap_is_a_share_not_a_count():
    truth = np.array([[0] * 8 + [1] * 2], np.uint8)
    groups = np.array([[0] * 5 + [1] * 5], np.uint8)
    # Group 1 has 3 pixels of class 0 and 2 of class 1: 3 of 10 against 2 of 5.
    assert oracle_map(truth, groups, NUM_LABELS).tolist() == [[0] * 5 + [1] * 5]


@given(truths, groupings)
def test_the_table_counts_what_the_map_shows(truth, groups):
    shared = overlap(truth, groups, (NUM_LABELS, 6))
    shown = overlap(truth, oracle_map(truth, groups, NUM_LABELS), (NUM_LABELS, NUM_LABELS))
    np.testing.assert_array_equal(oracle_table(shared), shown)


@given(truths, groupings)
def test_the_oracle_never_makes_up_a_class(truth, groups):
    table = oracle_table(overlap(truth, groups, (NUM_LABELS, 6)))
    absent = table.sum(axis=1) == 0
    assert table.sum(axis=0)[absent].sum() == 0


def test_every_group_is_compared_with_every_class():
    truth = np.array([[0, 0, 1, IGNORED]], np.uint8)
    groups = np.array([[0, 1, 1, 1]], np.uint8)
    found = ious(overlap(truth, groups, (3, 2)))
    np.testing.assert_allclose(found, [[1 / 2, 1 / 3], [0, 1 / 2], [0, 0]])
