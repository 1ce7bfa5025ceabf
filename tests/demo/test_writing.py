import pytest

from groupvit.errors import InputError
from groupvit.evaluation.evaluate import evaluate


def test_the_scores_are_those_of_an_evaluation(demo, segmenter, scenes):
    found = evaluate(segmenter, scenes)
    assert demo.evaluation.scores == found.scores
    assert demo.evaluation.oracles == found.oracles


def test_the_page_lies_alone_in_its_folder(demo):
    assert [path.name for path in demo.page.parent.iterdir()] == ["demo.html"]


def test_progress_counts_photographs_and_scored_and_shown_scenes(demo, told):
    assert demo.page.exists()
    assert told == [(done, 7) for done in range(1, 8)]


def test_the_same_settings_give_the_same_page(demo, make, tmp_path):
    again = make(tmp_path)
    assert again.page.read_bytes() == demo.page.read_bytes()


def test_more_scenes_may_be_shown_than_scored(make, tmp_path):
    assert make(tmp_path, num=4).page.read_text().count("<article") == 2 + 4


def test_no_scene_to_show_is_refused(make, tmp_path):
    with pytest.raises(InputError, match="num is 0; give at least 1 scene"):
        make(tmp_path, num=0)


def test_a_file_in_the_place_of_the_folder_is_named(make, tmp_path):
    (tmp_path / "out").write_text("a letter")
    with pytest.raises(InputError, match=r"/out cannot be written"):
        make(tmp_path / "out", num=1)
