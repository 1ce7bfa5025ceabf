from dataclasses import replace

import numpy as np
import pytest

from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.evaluation.evaluate import evaluate
from groupvit.evaluation.floors import blind_grid
from groupvit.evaluation.oracle import oracle_table
from groupvit.evaluation.reports.floors import floor_scores, sentences
from groupvit.evaluation.reports.markdown import markdown
from groupvit.evaluation.reports.page import class_bars, page
from groupvit.evaluation.scores import overlap, scores_of
from groupvit.evaluation.verdict import Floor, StageFloors, one_class
from groupvit.segmentation.segmenter import Segmenter

SCENES = Scenes(num=4, size=24)


@pytest.fixture(scope="module")
def segmenter(lively_model):
    return Segmenter(lively_model)


@pytest.fixture(scope="module")
def found(segmenter):
    return evaluate(segmenter, SCENES, floors=True)


def test_the_grid_has_the_scores_of_its_oracle(found):
    for stage, used, oracle in zip(found.floors, found.groups_used, found.oracles, strict=True):
        num = stage.num_parts
        assert num == round(used)
        table = np.zeros((23, 23), np.int64)
        for index in range(4):
            mask = SCENES[index].mask
            table += oracle_table(overlap(mask, blind_grid(mask.shape, num), (23, num)))
        grid, colored = stage.floors
        assert grid.miou == pytest.approx(scores_of(table, SCENES.labels).miou)
        for floor in (grid, colored):
            assert floor.gain == pytest.approx(oracle.miou - floor.miou)
            assert floor.error > 0


def test_without_floors_the_rest_is_the_same(segmenter, found):
    plain = evaluate(segmenter, SCENES)
    assert plain.floors == ()
    assert (plain.scores, plain.oracles) == (found.scores, found.oracles)
    assert plain.one_class == found.one_class


def test_a_journal_changes_no_floor(segmenter, found, tmp_path):
    evaluate(segmenter, SCENES, folder=tmp_path, limit=2)
    told = []
    resumed = evaluate(
        segmenter,
        SCENES,
        folder=tmp_path,
        floors=True,
        on_progress=lambda *done: told.append(done),
    )
    assert resumed.floors == found.floors
    assert told == [(1, 2), (2, 2), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_one_image_proves_nothing(segmenter):
    found = evaluate(segmenter, SCENES, limit=1, floors=True)
    assert all(floor.error is None for stage in found.floors for floor in stage.floors)
    assert "nothing that one image could prove" in found.floors[0].verdict


@pytest.mark.parametrize(
    ("gain", "error", "claim"),
    [
        (0.061, 0.012, "more than color and place by 6.1 ± 1.2"),
        (-0.061, 0.012, "less than color and place by 6.1 ± 1.2"),
        (0.02, 0.012, "nothing certain beyond color and place (+2.0 ± 1.2)"),
        (-0.02, 0.012, "nothing certain beyond color and place (-2.0 ± 1.2)"),
        (0.0, 0.0, "nothing certain beyond color and place (+0.0 ± 0.0)"),
    ],
)
def test_only_what_is_certain_is_claimed(gain, error, claim):
    floor = Floor(kind="color and place", miou=0.5, gain=gain, error=error)
    assert floor.claim == claim
    stage = StageFloors(num_parts=8, floors=(floor,))
    assert stage.verdict == f"the groups (8 in use) tell {claim}"


def test_one_class_is_the_background_or_the_most_frequent():
    confusion = np.array([[1, 0, 2], [4, 2, 0], [0, 0, 0]])
    labels = ("background", "dog", "cat")
    assert one_class(confusion, labels, has_background=True) == ("background", 3 / 9 / 2)
    assert one_class(confusion, labels, has_background=False) == ("dog", 6 / 9 / 2)


def test_reports_have_the_floors_and_no_zero_for_absent_classes(found):
    absent = found.scores.labels[0]
    confusion = found.confusion.copy()
    confusion[0] = 0
    confusion[1, 0] = 5
    scores = scores_of(confusion, found.scores.labels)
    oracles = tuple(replace(oracle, iou=(None, *oracle.iou[1:])) for oracle in found.oracles)
    changed = replace(found, confusion=confusion, scores=scores, oracles=oracles)
    assert scores.iou[0] == 0
    assert changed.shown_iou[0] is None
    assert absent not in [bar.name for bar in class_bars(changed)]
    table, html = markdown(changed), page(changed, [], model="mine")
    assert f"| {absent} | - | - | - |" in table
    for sentence in sentences(changed):
        assert sentence in table
        assert sentence in html
    assert sentence.endswith(f"in the means: {absent}.") or f"{absent}, " in sentence
    for name in floor_scores(changed):
        assert f"| floor: {name} |" in table
        assert name in html
