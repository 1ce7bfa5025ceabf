import numpy as np
import pytest

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Sample
from groupvit.evaluation.folds.cutting import (
    COCO,
    EVERY,
    Episode,
    Fold,
    Folded,
    consecutive,
    interleaved,
    of_names,
    shown_in,
    spread,
)


class Masks:
    """A benchmark of one-row masks."""

    key, name = "", "rows"

    def __init__(self, *rows, num_classes=7, has_background=True):
        self.rows, self.has_background = rows, has_background
        self.labels = tuple(f"class{number}|kind{number}" for number in range(num_classes))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        mask = np.array([self.rows[index]], np.uint8)
        return Sample(f"row {index}", np.zeros((*mask.shape, 3), np.uint8), mask)


def folded(*rows, **changes):
    benchmark = Masks(*rows)
    given = {"name": "rows", "folds": consecutive(range(1, 8)), "shown": shown_in(benchmark)}
    return Folded(benchmark=benchmark, **(given | changes))


def test_pascal_and_coco_are_cut_as_published():
    pascal = consecutive(range(1, 21))
    assert [one.held_out for one in pascal] == [
        tuple(range(5 * fold + 1, 5 * fold + 6)) for fold in range(4)
    ]
    coco = interleaved(range(1, 81), 4)
    assert coco[0].held_out[:3] == (1, 5, 9)
    assert coco[3].held_out[-1] == 80
    assert sorted(sum((one.held_out for one in coco), ())) == list(range(1, 81))
    assert [len(one.held_out) for one in consecutive(range(1, 8))] == [5, 2]


def test_classes_are_held_out_by_name_or_synonym():
    labels = dict(enumerate(Masks().labels, start=1))
    assert of_names(["Kind2", "class0"], labels) == Fold("held-out", (1, 3))
    with pytest.raises(InputError, match="'class9' is no class; the classes are class0, class1"):
        of_names(["class9"], labels)
    with pytest.raises(InputError, match="'kind2' twice"):
        of_names(["class2", "kind2"], labels)
    with pytest.raises(InputError, match="has all classes"):
        of_names([f"class{number}" for number in range(7)], labels)


def test_void_and_background_are_shown_by_no_image():
    assert shown_in(Masks([0, 255], [0, 3], [7, 2])) == (
        Episode(1, 3),
        Episode(2, 2),
        Episode(2, 7),
    )
    assert shown_in(Masks([0, 255], has_background=False)) == (Episode(0, 0),)


def test_no_image_is_in_two_parts():
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 8, 2).tolist() for _ in range(120)]
    found = folded(*rows)
    for fold in found.folds:
        tested = {one.image for one in found.test(fold).episodes}
        validated = {one.image for one in found.validation(fold).episodes}
        trained = set(found.training_images(fold))
        assert tested
        assert validated
        assert len(trained) > len(validated) * (EVERY - 2)
        assert not tested & validated
        assert not tested & trained
        assert not validated & trained
        for image in validated | trained:
            assert not set(rows[image]) & set(fold.held_out)
        shown = {image for image, row in enumerate(rows) if set(row) & set(fold.held_out)}
        assert tested == shown
        assert not {one.label for one in found.validation(fold).episodes} & set(fold.held_out)


def test_images_of_another_training_are_all_validated():
    found = folded([6, 7], [1], [6], [7], is_trained_on=False)
    assert {one.image for one in found.validation(found.folds[0]).episodes} == {0, 2, 3}


def test_lists_take_the_place_of_all_classes_of_all_images():
    listed = {"0": (Episode(2, 1), Episode(0, 1))}
    found = folded([1, 2], [3], [1], [6], listed=listed)
    assert found.test(found.folds[0]).episodes == listed["0"]
    assert found.test(found.folds[1]).episodes == (Episode(3, 6),)


def test_the_published_protocol_repeats_its_list_and_draws_for_coco():
    found = folded([1, 2], [3], [1], [6])
    episodes = found.published_test(found.folds[0]).episodes
    listed = found.test(found.folds[0]).episodes
    assert len(episodes) == 1000
    assert episodes[: 2 * len(listed)] == listed * 2
    drawn = folded([1, 2], [3], [1], [6], published=COCO)
    episodes = drawn.published_test(drawn.folds[0]).episodes
    assert len(episodes) == 1000
    assert set(episodes) == set(listed)
    counts = [sum(one.label == label for one in episodes) for label in (1, 2, 3)]
    assert min(counts) > 250
    assert episodes == drawn.published_test(drawn.folds[0]).episodes


def test_a_fold_that_no_image_shows_is_refused():
    found = folded([1], [2])
    with pytest.raises(InputError, match="rows, fold 1: no image can be used for its test"):
        found.test(found.folds[1])
    with pytest.raises(InputError, match=r"validation, since none shows .* without a held-out"):
        found.validation(found.folds[0])


def test_a_limit_is_spread_over_all():
    assert spread(range(10), 3) == [0, 3, 6]
    assert spread(range(3), None) == spread(range(3), 5) == [0, 1, 2]
