import sys

import pytest

from groupvit.errors import InputError
from groupvit.text.nouns import LONGEST, NounFinder

CAPTION = "Two dogs are running on the green grass near a Fire Hydrant."


@pytest.fixture(scope="module")
def finder():
    return NounFinder("pattern")


@pytest.fixture
def nltk(monkeypatch):
    """NLTK with a tokenizer and a tagger of our own, as their data are not installed."""
    import nltk
    from nltk.tag import perceptron

    class Tagger:
        def tag(self, words):
            return [tuple(word.split("_")) for word in words]

    monkeypatch.setattr(nltk, "word_tokenize", str.split)
    monkeypatch.setattr(perceptron, "PerceptronTagger", Tagger)
    return nltk


def test_nouns_come_in_their_order_and_in_lower_case(finder):
    assert finder.find(CAPTION) == ["dogs", "grass", "fire", "hydrant"]


def test_a_word_that_stands_twice_is_there_twice(finder):
    assert finder.find("a dog and a dog") == ["dog", "dog"]


@pytest.mark.parametrize("caption", ["", " ", "...", "3 4 5", "&slash; /", "\x00\ud7ff", "🙂 :-)"])
def test_a_caption_without_nouns_gives_none(finder, caption):
    assert finder.find(caption) == []


@pytest.mark.parametrize(
    "caption", ["dog,cat,bird", "dog;cat; bird", "dog, cat,bird", "Dog,cat,bird.", "dog/cat/bird!"]
)
def test_a_list_without_spaces_has_its_nouns(finder, caption):
    assert finder.find(caption) == ["dog", "cat", "bird"]


@pytest.mark.parametrize(
    ("caption", "nouns"),
    [
        ("fish &amp; chips", ["fish", "chips"]),
        ("a dog&nbsp;on&nbsp;grass", ["dog", "grass"]),
        ("fish &amp;amp; a dog", ["fish", "dog"]),
        ("a caf&eacute; &lt;3", ["café"]),
        ("1,000 dogs", ["dogs"]),
        ("a dog/cat on grass", ["dog", "cat", "grass"]),
        ("a dog, see http://web/dog/cat", ["dog"]),
    ],
)
def test_html_entities_are_no_nouns(finder, caption, nouns):
    assert finder.find(caption) == nouns


def test_only_letters_count_and_at_least_two(finder):
    assert finder.find("a b1 x dog's t-shirt can't") == ["dog"]


def test_only_the_beginning_of_an_endless_caption_is_looked_at(finder):
    caption = "dog " * LONGEST
    assert len(finder.find(caption)) == LONGEST // 4


@pytest.mark.usefixtures("nltk")
def test_the_published_way_counts_verbs_too():
    caption = (
        "Dogs_NNS Rex_NNP run_VB runs_VBZ ran_VBD running_VBG eaten_VBN eat_VBP sea_NN "
        "Alps_NNPS red_JJ can_MD the_DT it_PRP"
    )
    assert NounFinder("perceptron").find(caption) == (
        ["dogs", "rex", "run", "runs", "ran", "running", "eaten", "eat", "sea"]
    )


@pytest.mark.usefixtures("nltk")
def test_the_published_way_keeps_every_word_of_its_tags():
    caption = "T-shirt_NN A4_NNP x_NN 's_VBZ 12-year-old_JJ 3_CD"
    assert NounFinder("perceptron").find(caption) == ["t-shirt", "a4", "x", "'s"]


def test_missing_data_of_nltk_are_named_with_the_command(nltk, monkeypatch):
    def missing(text):
        raise LookupError(f"punkt_tab, to split {text!r}")

    monkeypatch.setattr(nltk, "word_tokenize", missing)
    sentence = "python -m nltk.downloader punkt_tab averaged_perceptron_tagger_eng$"
    with pytest.raises(InputError, match=sentence):
        NounFinder("perceptron")


@pytest.mark.parametrize(("kind", "library"), [("pattern", "textblob.en"), ("perceptron", "nltk")])
def test_a_missing_library_is_named_with_the_command(monkeypatch, kind, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=r'missing; install it with: pip install "groupvit\[train'):
        NounFinder(kind)
