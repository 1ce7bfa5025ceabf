import pytest

from groupvit import Background, InputError
from groupvit.segmentation.labels import parse


def test_an_empty_background_is_refused():
    with pytest.raises(InputError, match="this background is empty"):
        Background()


@pytest.mark.parametrize(
    "wrong", [{"threshold": 1.5}, {"threshold": -1.1}, {"thresholds": {"dog": 2.0}}]
)
def test_thresholds_are_scores_or_cosines(wrong):
    with pytest.raises(InputError, match="give a number from -1 to 1"):
        Background(**wrong)


def test_a_threshold_must_name_a_label():
    with pytest.raises(InputError, match="given for 'cow', which is no label; the labels are dog"):
        parse(["dog"], Background(thresholds={"cow": 0.5}))


def test_a_background_word_may_not_be_a_label():
    with pytest.raises(InputError, match="sky"):
        parse(["dog", "sky"], Background(words=("sky",)))


def test_background_words_come_last():
    parsed = parse(["car|taxi", "dog"], Background(words=("wall",)))
    assert (parsed.names, parsed.background) == (("car", "dog"), ("wall",))
    assert parsed.words == ("car", "taxi", "dog", "wall")
    assert parsed.owners == (0, 0, 1, 2)


def test_thresholds_of_labels_that_are_not_asked_for_are_left():
    background = Background(threshold=0.1, thresholds={"dog": 0.2, "cat": 0.3})
    assert background.among(["dog", "cow"]) == Background(threshold=0.1, thresholds={"dog": 0.2})
