import pytest

from groupvit.demo.writing import write
from groupvit.errors import InputError
from groupvit.evaluation.evaluate import evaluate


def test_the_scores_are_those_of_an_evaluation(demo, segmenter, scenes):
    found = evaluate(segmenter, scenes)
    assert demo.evaluation.scores == found.scores
    assert demo.evaluation.oracles == found.oracles


def test_the_page_lies_alone_in_its_folder(demo):
    assert [path.name for path in demo.page.parent.iterdir()] == ["storybook.html"]


def test_progress_counts_scored_and_shown_scenes(demo, told):
    assert demo.page.exists()
    assert told == [(done, 5) for done in range(1, 6)]


def test_the_same_settings_give_the_same_page(demo, segmenter, scenes, tmp_path):
    again = write(
        segmenter, scenes, tmp_path, model="mine & <own>", num=2, on_progress=lambda *_: None
    )
    assert again.page.read_bytes() == demo.page.read_bytes()


def test_more_scenes_may_be_shown_than_scored(segmenter, scenes, tmp_path):
    demo = write(segmenter, scenes, tmp_path, model="m", num=4, on_progress=lambda *_: None)
    assert demo.page.read_text().count("<article") == 4


def test_no_scene_to_show_is_refused(segmenter, scenes, tmp_path):
    with pytest.raises(InputError, match="num is 0; give at least 1 scene"):
        write(segmenter, scenes, tmp_path, model="m", num=0, on_progress=lambda *_: None)


def test_a_file_in_the_place_of_the_folder_is_named(segmenter, scenes, tmp_path):
    (tmp_path / "out").write_text("a letter")
    with pytest.raises(InputError, match=r"/out cannot be written"):
        write(segmenter, scenes, tmp_path / "out", model="m", num=1, on_progress=lambda *_: None)
