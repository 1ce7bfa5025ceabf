from collections import Counter

import pytest

from groupvit.errors import InputError
from groupvit.text import lexicon
from groupvit.text.lexicon import Entry, broader, entries, find, parse, words_for


def test_entries_are_read_in_their_order():
    assert parse("# a comment\n\nsofa, couch: loveseat\ncoffee table:: table\n") == (
        Entry(("sofa", "couch"), ("loveseat",), ()),
        Entry(("coffee table",), (), ("table",)),
    )


@pytest.mark.parametrize("line", [": couch", "sofa, , couch: loveseat", "a: b: c: d"])
def test_a_line_that_is_no_entry_is_refused(line):
    with pytest.raises(InputError, match="no entry"):
        parse(line)


def test_a_text_beyond_the_limit_is_refused():
    with pytest.raises(InputError, match="characters"):
        parse("#" * (lexicon.LARGEST + 1))


def test_every_name_has_one_entry_and_no_word_stands_twice_in_one():
    names = Counter(key for one in entries() for key in {lexicon._key(name) for name in one.names})
    assert [name for name, count in names.items() if count > 1] == []
    for one in entries():
        assert len(set(one.words)) == len(one.words) > 1, one
        assert all(word == word.casefold().strip() for word in one.words)


@pytest.mark.parametrize(
    ("label", "word"),
    [
        ("person", "man"),
        ("aeroplane", "airplane"),
        ("airplane", "plane"),
        ("couch", "sofa"),
        ("motorbike", "motorcycle"),
        ("tvmonitor", "television"),  # as data sets write it
        ("diningtable", "table"),
        ("potted-plant", "plant"),
        ("Cows", "cow"),
        ("wooden chair", "chair"),  # by its head noun
        ("glass of water", "goblet"),
    ],
)
def test_words_of_a_label(label, word):
    words = words_for(label)
    assert word in words
    assert label.casefold() not in words


def test_a_label_without_entry_has_no_words():
    assert words_for("zeppelin") == () == words_for("")
    assert find("zeppelin") is None


def test_a_label_is_known_as_whole_or_by_its_head_noun():
    assert find("dining table").whole
    assert not find("wooden table").whole


def test_broader_words_are_one_level_up():
    assert broader("man") == ("person",)
    assert broader("taxi") == ("car",)
    assert broader("Car") == ("vehicle",)
    assert broader("couch") == ()  # a synonym
    assert broader("bag") == ()  # the wider word for "handbag"
    assert broader("zeppelin") == ()
