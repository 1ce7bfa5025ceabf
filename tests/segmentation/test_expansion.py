from dataclasses import replace

import numpy as np
import pytest

from groupvit.segmentation.expansion import MOST, LabelParser
from groupvit.segmentation.labels import parse
from groupvit.segmentation.protocol import OURS
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background
from groupvit.text.coverage import Coverage

COUNTS = {"man": 900, "woman": 500, "person": 90, "boy": 300, "girl": 200, "child": 100}
COUNTS |= {"airplane": 50, "plane": 80, "jet": 20, "airliner": 1, "chair": 70, "armchair": 9}
COUNTS |= {"dog": 800, "bear": 30, "sausage": 20, "plant": 40, "flower": 60, "car": 200, "taxi": 9}


@pytest.fixture
def parser():
    return LabelParser(Coverage(nouns=COUNTS, distilled=("Minivan", "hot dog")))


def test_known_words_are_added_the_most_frequent_first(parser):
    labels = parser(["person", "zeppelin"])
    assert labels.names == ("person", "zeppelin")
    assert labels.words_of("person")[:4] == ("person", "man", "woman", "boy")
    assert len(labels.words_of("person")) <= 1 + MOST
    assert labels.words_of("zeppelin") == ("zeppelin",)
    assert labels.expansions() == {"person": labels.words_of("person")}


def test_the_word_people_is_known_where_captions_count_it_as_person(parser):
    assert "people" in parser(["person"]).words


def test_an_unknown_label_is_replaced_and_keeps_its_name(parser):
    labels = parser(["aeroplane"])
    assert labels.names == ("aeroplane",)
    assert labels.words == ("plane", "airplane", "jet")  # airliner is too rare


def test_a_label_with_a_known_head_noun_stays(parser):
    assert parser(["potted plant"]).words[:3] == ("potted plant", "flower", "plant")


def test_distilled_names_are_known_words(parser):
    assert parser(["car"]).words == ("car", "taxi", "minivan")
    assert parser(["van"]).words == ("minivan",)


def test_several_words_are_not_known_by_their_head_noun(parser):
    assert "teddy bear" not in parser(["toy"]).words
    assert LabelParser(Coverage(nouns={"dog": 9}))(["hotdog"]).words == ("hotdog",)


@pytest.mark.parametrize("text", ["person|human", '"person"', "person | crowd"])
def test_synonyms_and_quotation_marks_keep_a_label_as_it_is(parser, text):
    assert parser([text]) == parse([text])


def test_words_of_other_labels_are_left_to_them(parser):
    labels = parser(["person", "men", "Woman"])
    assert {"man", "woman"}.isdisjoint(labels.words_of("person"))
    assert "man" not in parser(["person"], Background(words=("man", "grass"))).words_of("person")


def test_a_word_of_two_entries_goes_to_the_shorter_one(parser):
    labels = parser(["person", "child"])
    assert {"boy", "girl"} <= set(labels.words_of("child"))
    assert {"boy", "girl"}.isdisjoint(labels.words_of("person"))


def test_a_word_of_two_equal_claims_goes_to_neither(parser):
    labels = parser(["wooden chair", "plastic chair"])
    assert labels.words == ("wooden chair", "plastic chair")
    assert labels.expansions() == {}
    whole = parser(["wooden chair", "chair"])
    assert whole.words == ("wooden chair", "chair", "armchair")


def test_words_of_the_background_are_not_expanded(parser):
    labels = parser(["dog"], Background(words=("person", "car")))
    assert labels.words == ("dog", "person", "car")
    assert labels.owners == (0, 1, 2)


@pytest.mark.parametrize("coverage", [None, Coverage()])
def test_without_known_words_no_label_is_expanded(coverage):
    assert LabelParser(coverage)(["person", "car"]) == parse(["person", "car"])


def test_parsed_labels_stay(parser):
    labels = parse(["person"])
    assert parser(labels) is labels


def test_ours_expands_and_published_protocols_do_not(tiny_model, street):
    coverage = Coverage(nouns=COUNTS)
    result = Segmenter(tiny_model, coverage=coverage)(street(32, 48), ["aeroplane", "dog"])
    words = ("plane", "airplane", "jet")
    assert result.expansions == {"aeroplane": words}
    assert result.labels == ("aeroplane", "dog")
    for protocol in ("groupvit", "tcl", "sclip", replace(OURS, lexicon=False)):
        segmenter = Segmenter(tiny_model, coverage=coverage, protocol=protocol)
        assert segmenter.parse(["aeroplane", "dog"]).words == ("aeroplane", "dog")
    assert Segmenter(tiny_model, coverage=coverage, protocol="quick").parse(["person"]).expanded


def test_expansion_equals_synonyms_by_hand(tiny_model, street):
    segmenter = Segmenter(tiny_model, coverage=Coverage(nouns=COUNTS))
    expanded, by_hand = (
        segmenter(street(32, 48), [label, "grass"]) for label in ("car", "car|taxi")
    )
    np.testing.assert_array_equal(expanded.label_map, by_hand.label_map)
    np.testing.assert_allclose(expanded.scores, by_hand.scores, atol=1e-6)
    listed = str(replace(expanded, label_map=np.zeros_like(expanded.label_map)))
    assert listed.endswith("100.0%  car (car, taxi)")


def test_an_expanded_label_is_not_unknown(tiny_model):
    segmenter = Segmenter(tiny_model, coverage=Coverage(nouns=COUNTS))
    assert list(segmenter.unknown_words(["aeroplane", "zeppelin"])) == ["zeppelin"]
