import copy
import warnings

import pytest

from groupvit.errors import InputError
from groupvit.segmentation import known_words
from groupvit.segmentation.known_words import UnknownWordWarning
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.coverage import MAX_WORDS, Coverage
from groupvit.weights import catalogue

NOUNS = {"balloon": 9, "bird": 8, "boat": 7, "car": 6, "sea": 5, "oar": 1}
COVERAGE = Coverage(domain="harbors", nouns=NOUNS)


@pytest.fixture
def make(tiny_model):
    def make_segmenter(coverage=COVERAGE):
        return Segmenter(tiny_model, coverage=coverage)

    return make_segmenter


def test_the_nearest_words_are_those_of_the_highest_cosine(make):
    segmenter = make()
    found = segmenter.unknown_words(["boats", "zeppelin|airship", "harbor, sea"])
    assert list(found) == ["zeppelin", "airship", "harbor"]
    frequent = [noun for noun, count in NOUNS.items() if count >= known_words.MIN_COUNT]
    words, candidates = (segmenter.embed_words(some) for some in (list(found), frequent))
    order = (words @ candidates.mT).argsort(dim=1, descending=True)[:, :3].tolist()
    assert list(found.values()) == [tuple(frequent[one] for one in row) for row in order]


def test_known_words_are_embedded_once_and_only_for_an_unknown_one(make, monkeypatch):
    segmenter, embedded = make(), []
    encode = type(segmenter.network).encode_text
    monkeypatch.setattr(
        type(segmenter.network),
        "encode_text",
        lambda self, tokens: (embedded.append(len(tokens)), encode(self, tokens))[1],
    )
    assert segmenter.unknown_words(["boat"]) == {}
    assert embedded == []
    segmenter.unknown_words(["zeppelin"])
    segmenter.unknown_words(["airship"])
    assert embedded == [5, 1, 1]


def test_the_number_of_candidates_is_bounded(make, monkeypatch):
    monkeypatch.setattr(known_words, "CANDIDATES", 2)
    assert set(make().unknown_words(["zeppelin"])["zeppelin"]) == {"balloon", "bird"}


def test_names_too_long_for_the_text_encoder_are_no_candidates(make):
    nouns = {"y" * 200: 10, "boat": 9}
    assert make(Coverage(nouns=nouns)).unknown_words(["zeppelin"]) == {"zeppelin": ("boat",)}


def test_rare_nouns_and_distilled_names_are_candidates_where_there_are_few(make):
    found = make(Coverage(nouns={"oar": 1}, distilled=("tench",))).unknown_words(["zeppelin"])
    assert set(found["zeppelin"]) == {"oar", "tench"}


def test_a_call_warns_once_of_each_word(make, street):
    segmenter = make()
    with pytest.warns(UnknownWordWarning) as caught:
        segmenter(street(32, 48), ["zeppelin", "boat"])
    (message,) = (str(one.message) for one in caught)
    assert message.startswith("zeppelin is in no caption of this model as a noun; nearest words it")
    assert message.endswith(". this model knows harbors, 6 words such as balloon, bird, boat")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        segmenter(street(32, 48), ["zeppelin", "sea"])
    with pytest.warns(UnknownWordWarning, match="^airship is"):
        segmenter(street(32, 48), ["zeppelin", "airship"])


def test_models_without_words_give_no_warnings(make, street):
    segmenter = make(Coverage(domain="harbors"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        segmenter(street(32, 48), ["zeppelin", "boat"])
    assert segmenter.unknown_words(["zeppelin"]) == {}
    assert segmenter.known_words.warnings(["zeppelin"]) == []


def test_many_unknown_words_share_a_sentence(make):
    sentences = make().known_words.warnings([f"word{number}" for number in range(30)])
    assert len(sentences) == 7
    assert sentences[5].startswith("25 more words are in no caption of this model as a noun: word5")
    assert sentences[5].endswith("word24, ...")
    sentences = make().known_words.warnings([f"word{number}" for number in range(6)])
    assert sentences[5] == "1 more word is in no caption of this model as a noun: word5"


def test_an_incomplete_list_claims_no_more_than_it_can(make):
    nouns = {f"noun{number}": 1 for number in range(MAX_WORDS)}
    (first, _) = make(Coverage(nouns=nouns)).known_words.warnings(["zeppelin"])
    assert first.startswith("zeppelin is not among the 20,000 most frequent nouns of this model's")


def test_models_of_other_domains_that_know_the_word_are_named(make, monkeypatch):
    others = {
        "photos": Coverage(domain="photographs", nouns={"zeppelin": 3}),
        "maps": Coverage(domain="maps", nouns={"river": 3}),
        "twin": Coverage(domain="harbors", nouns={"zeppelin": 3}),
    }
    monkeypatch.setattr(catalogue, "packaged_coverage", lambda: others)
    summary = make().known_words.warnings(["zeppelin", "airship"])[-1]
    assert summary.endswith("such as balloon, bird, boat; for photographs use photos")
    anywhere = make(Coverage(nouns=NOUNS)).known_words.warnings(["zeppelin"])[-1]
    assert anywhere.startswith("this model knows 6 words such as")


def test_a_word_that_is_too_long_is_refused(make):
    with pytest.raises(InputError, match="more than the 77 that the text encoder reads"):
        make().unknown_words(["zeppelin " * 100])


def test_a_copy_of_a_segmenter_has_its_words(make):
    assert copy.deepcopy(make()).unknown_words(["zeppelin"]) == make().unknown_words(["zeppelin"])


def test_the_number_of_remembered_words_is_bounded(make, monkeypatch):
    monkeypatch.setattr(known_words, "MAX_WORDS", 3)
    words = make().known_words
    for number in range(10):
        words.new_warnings([f"word{number}", "sea"])
        assert len(words._checked) <= 3


def test_the_bundled_model_knows_its_classes_and_nothing_else():
    segmenter = Segmenter.load("storybook")
    assert segmenter.unknown_words(["sky, trees, red mushroom", "dog|boat"]).keys() == {"dog"}
    assert segmenter.coverage.domain == "drawn scenes"
