"""Commands warn of words that a model was not trained with, and keep its words with it."""

import pytest

from groupvit.text.coverage import Coverage
from groupvit.weights import catalogue, checkpoint
from groupvit.weights.checkpoint import Origin
from tests import lively
from tests.data.pairs import encoded, write_tar
from tests.evaluation.folders import with_background, write_folder

COVERAGE = Coverage(
    domain="streets",
    nouns={"house": 9000, "car": 800, "tree": 70, "dog": 6},
    distilled=("tench", "[b]"),
)
SENTENCE = "zeppelin is in no caption of this model as a noun; nearest words it knows: "


@pytest.fixture(scope="module")
def knowing(tmp_path_factory):
    """Folder of a small model with words."""
    folder = tmp_path_factory.mktemp("models") / "knowing"
    checkpoint.save(folder, lively.lively_model(), Origin(source="a test"), coverage=COVERAGE)
    return folder


def test_info_lists_domain_nouns_and_distilled_names(run, knowing, model):
    printed = " ".join(run("info", knowing)[1].split())
    assert "domain streets" in printed
    assert "nouns of captions 4: house 9,000, car 800, tree 70, dog 6" in printed
    assert "names distilled 2: tench, [b]" in printed
    assert "nouns" not in run("info", model)[1]


@pytest.mark.parametrize("labels", [("dogs", "zeppelin"), ("zeppelin|car",)])
def test_labels_that_no_caption_had_are_named(run, knowing, photos, tmp_path, labels):
    for command in ("segment", "groups"):
        place = ("--model", knowing, "--out", tmp_path / command)
        code, printed, complaint = run(command, photos, "--labels", *labels, *place)
        assert (code, complaint) == (0, "")
        assert printed.count(SENTENCE) == 1
        assert "this model knows streets, 4 words such as house, car, tree" in printed


def test_words_of_the_background_are_checked_too(run, knowing, photos, tmp_path):
    options = ("--labels", "dog", "--background-words", "zeppelin", "--model", knowing)
    assert SENTENCE in run("segment", photos, *options, "--out", tmp_path / "out")[1]


def test_known_labels_and_models_without_words_give_no_warning(
    run, knowing, model, photos, tmp_path
):
    for name, label in ((knowing, "old house"), (model, "zeppelin")):
        options = ("--labels", label, "--model", name, "--out", tmp_path / label)
        code, printed, _ = run("segment", photos, *options)
        assert (code, "this model" in printed) == (0, False)


def test_classes_that_no_caption_had_are_named(run, knowing, photos, tmp_path):
    folder = write_folder(tmp_path / "book", num=2)
    printed = run("evaluate", folder, "--model", knowing)[1]
    assert "more words are in no caption of this model as a noun" in printed
    (photos / "zeppelin").mkdir()
    (photos / "dog.jpg").rename(photos / "zeppelin" / "dog.jpg")
    assert SENTENCE in run("classify", photos, "--model", knowing)[1]


def test_candidates_of_concepts_and_labels_of_a_calibration_are_checked(
    run, knowing, photos, tmp_path
):
    options = ("--labels", "zeppelin", "car", "--model", knowing)
    assert SENTENCE in run("concepts", photos, *options, "--out", tmp_path / "out")[1]
    out = ("--out", tmp_path / "background.json")
    assert SENTENCE in run("calibrate", photos, *options, *out)[1]


def test_words_stay_with_a_model_that_is_converted_or_calibrated(run, knowing, tmp_path):
    assert run("convert", knowing, tmp_path / "converted")[0] == 0
    folder = with_background(write_folder(tmp_path / "book", num=4))
    saved = ("--save-model", tmp_path / "calibrated")
    assert run("calibrate", folder, "--model", knowing, *saved)[0] == 0
    captions = ("an apple and the sky", "a boat near the sky", "an apple with a boat")
    members = []
    for i in range(15):
        members.append((f"{i:03d}.jpg", encoded(lively.street(40, 60, i))))
        members.append((f"{i:03d}.txt", captions[i % 3]))
    pairs = write_tar(tmp_path / "pairs.tar", members)
    assert run("learn-background", pairs, tmp_path / "learned", "--model", knowing)[0] == 0
    for name in ("converted", "calibrated", "learned"):
        assert catalogue.load(tmp_path / name).coverage == COVERAGE


def test_the_layout_of_transformers_has_no_words(run, knowing, tmp_path):
    code, printed, _ = run("convert", knowing, tmp_path / "theirs", "--to", "huggingface")
    assert code == 0
    assert "left out, as that layout has no place for it: domain and words" in printed
    assert catalogue.load(tmp_path / "theirs").coverage == Coverage()


def test_labels_are_expanded_unless_they_shall_not_be(run, photos, tmp_path):
    folder = tmp_path / "model"
    nouns = {"man": 90, "woman": 80, "dog": 70}
    coverage = Coverage(domain="streets", nouns=nouns)
    checkpoint.save(folder, lively.lively_model(), Origin(source="a test"), coverage=coverage)
    image = next(photos.rglob("*.jpg"))
    labels = ("--labels", "person", "--model", folder)
    printed = run("segment", image, *labels, "--out", tmp_path / "a")[1]
    assert "person (man, woman)" in printed
    assert "person is in no caption" not in printed
    printed = run("segment", image, *labels, "--no-expand", "--out", tmp_path / "b")[1]
    assert "(man" not in printed
    assert "person is in no caption" in printed
