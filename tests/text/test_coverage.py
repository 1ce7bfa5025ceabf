import pytest

from groupvit.errors import InputError
from groupvit.text.coverage import MAX_WORDS, Coverage, most_frequent
from groupvit.text.nouns import head_noun, merged_plurals, number_forms, singulars

COVERAGE = Coverage(
    domain="parks",
    nouns={"man": 9, "plant": 7, "cars": 5, "motorbike": 3, "glass": 2, "knife": 1},
    distilled=("Golden Retriever", "tench"),
)


@pytest.mark.parametrize(
    "word",
    [
        *("plant", "Plants", "MAN", "men", "car", "knives", "glasses"),
        *("potted plant", "potted-plants", "glass of water", "man on a horse"),
        *("motor bike", "motor-bikes", "golden retriever", "golden retrievers", "retriever"),
        "tench",
    ],
)
def test_a_word_is_known_in_its_other_number_and_by_its_head(word):
    assert COVERAGE.unknown([word]) == []


@pytest.mark.parametrize(
    "word", ["zeppelin", "plant pot", "horse with a man", "golden", "water", "犬", "glasse", ""]
)
def test_other_words_are_unknown(word):
    assert COVERAGE.unknown([word, "man"]) == [word]


def test_without_words_nothing_is_unknown():
    assert Coverage(domain="parks").unknown(["zeppelin"]) == []
    assert not Coverage(domain="parks").has_words


@pytest.mark.parametrize(
    ("phrase", "head"),
    [
        ("dog", "dog"),
        ("potted plant", "plant"),
        ("glass of red wine", "glass"),
        ("t-shirt", "shirt"),
        ("of", "of"),
        ("", ""),
    ],
)
def test_the_head_noun_of_a_phrase(phrase, head):
    assert head_noun(phrase) == head


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("dog", "dogs"),
        ("bus", "buses"),
        ("berry", "berries"),
        ("leaf", "leaves"),
        ("fireman", "firemen"),
        ("child", "children"),
        ("tooth", "teeth"),
    ],
)
def test_both_numbers_of_a_noun_have_the_other_among_their_forms(one, many):
    assert {one, many} <= number_forms(one) & number_forms(many)


def test_a_plural_is_counted_with_its_singular_if_that_occurs():
    counts = {"dog": 2, "dogs": 3, "cats": 4, "grass": 5}
    assert merged_plurals(counts) == {"dog": 5, "cats": 4, "grass": 5}
    assert merged_plurals({"grass": 5, "gras": 1}) == {"grass": 5, "gras": 1}


def test_plurals_of_the_vocabulary_and_of_training_follow_one_rule_with_two_limits():
    counts = {"bus": 438, "buss": 3, "glasses": 213, "glassess": 1, "pear": 1, "pears": 1}
    counts |= {"dog": 9, "dogs": 4, "grass": 7}
    of_vocabulary, of_training = singulars(counts), singulars(counts, least=2, with_ss=True)
    assert of_vocabulary == {"pears": "pear", "dogs": "dog"}
    assert of_training == {"buss": "bus", "glassess": "glasses", "dogs": "dog"}
    assert merged_plurals(counts)["pear"] == 2


def test_the_most_frequent_nouns_are_kept_in_order():
    counts = {f"noun{number}": number for number in range(1, MAX_WORDS + 3)} | {"x" * 500: 10**9}
    kept = most_frequent(counts)
    assert len(kept) == MAX_WORDS - 1  # without the overlong one
    assert next(iter(kept)) == f"noun{MAX_WORDS + 2}"
    assert Coverage(nouns=kept).is_complete


def test_joining_keeps_the_words_of_both_and_changes_nothing_again():
    later = Coverage(nouns={"man": 2, "boat": 8}, distilled=("pike",))
    joined = later.joined(COVERAGE)
    assert joined.domain == "parks"
    assert dict(joined.nouns) == {**COVERAGE.nouns, "boat": 8}
    assert list(joined.nouns)[:2] == ["man", "boat"]
    assert joined.distilled == ("Golden Retriever", "tench", "pike")
    assert joined.joined(COVERAGE) == later.joined(joined) == joined
    assert Coverage(domain="seas").joined(COVERAGE).domain == "seas"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"domain": "x" * 201}, "is no domain or word; give one line of at most 200"),
        ({"domain": "two\nlines"}, "one line"),
        ({"nouns": {"a\x1b[2J": 1}}, "one line"),
        ({"nouns": {"dog": 0}}, "a count is at least 1"),
        ({"nouns": {f"n{i}": 1 for i in range(MAX_WORDS + 1)}}, "20,001 words; 20,000 are the"),
        ({"distilled": ("n",) * (MAX_WORDS + 1)}, "distilled has 20,001 words"),
    ],
)
def test_a_coverage_out_of_bounds_is_refused(values, message):
    with pytest.raises(InputError, match=message):
        Coverage(**values)
