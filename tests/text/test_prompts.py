import hashlib
from dataclasses import FrozenInstanceError

import pytest

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.published import PUBLISHED
from groupvit.text.prompts import (
    Label,
    imagenet_classes,
    parse_label,
    parse_labels,
    prompts,
    quoted,
    split_labels,
    split_words,
)
from groupvit.text.templates import FULL, SIMPLE, SUBSET, load_templates
from groupvit.text.tokenizer import Tokenizer


@pytest.mark.parametrize(
    ("name", "expected", "number"),
    [("simple", SIMPLE, 1), ("subset", SUBSET, 7), ("full", FULL, 80)],
)
def test_named_templates_are_distinct_and_have_one_place_for_the_word(name, expected, number):
    assert load_templates(name) == expected
    assert len(set(expected)) == number
    assert all(template.count("{}") == 1 for template in expected)


def test_the_small_sets_are_part_of_the_full_one():
    assert set(SIMPLE) | set(SUBSET) < set(FULL)


def test_the_full_templates_are_those_of_clip():
    digest = hashlib.sha256("\n".join(FULL).encode()).hexdigest()
    assert digest == "4f976686fb651bb5803d4689dcd849f75efe0ef19a3c801355bc9a6f03c8a5af"


def test_the_imagenet_classes_are_the_early_list_of_clip():
    names = imagenet_classes()
    assert len(names) == 1000
    assert {name for name in names if names.count(name) > 1} == {"missile", "sunglasses"}
    assert hashlib.sha256("\n".join(names).encode()).hexdigest() == (
        "571ae1c583b4be7da87519494c52bf405a46af05d5815627c7a0dee997068b60"
    )


def test_every_imagenet_prompt_fits_the_text_encoder():
    texts = [text for name in imagenet_classes() for text in prompts(name, SUBSET)]
    assert max(map(Tokenizer().count, texts)) <= 77


def test_templates_of_a_file_skip_comments_and_blank_lines(tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("\ufeff# mine\n\n  a drawing of a {}. \r\n{}\n", encoding="utf-8")
    assert load_templates(str(file)) == ("a drawing of a {}.", "{}")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "has no template; write at least one line"),
        (b"# only a comment\n\n", "has no template; write at least one line"),
        (b"a {}\na photo\n", r"mine\.txt, line 2: 'a photo' has 0 places .* exactly one {}"),
        (b"\n{} and {}\n", r"mine\.txt, line 2: '{} and {}' has 2 places .* exactly one {}"),
        (b"caf\xe9 {}\n", r"mine\.txt is not UTF-8 text; save it as UTF-8"),
    ],
)
def test_a_bad_template_file_is_refused_by_name_and_line(tmp_path, content, sentence):
    file = tmp_path / "mine.txt"
    file.write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        load_templates(str(file))


@pytest.mark.parametrize("name", ["ful", "Simple", ".", "no/such/file.txt", ""])
def test_an_unknown_name_of_templates_is_refused_with_the_known_ones(name):
    with pytest.raises(InputError, match="neither one of the templates simple, subset, full nor"):
        load_templates(name)


def test_prompts_are_the_templates_with_the_word():
    assert prompts("cat", SUBSET[:2]) == ["itap of a cat.", "a bad photo of a cat."]


def test_other_braces_mean_themselves():
    assert prompts("{x}", ("{0} {} {",)) == ["{0} {x} {"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cat", ("cat",)),
        ("car|automobile|taxi", ("car", "automobile", "taxi")),
        ("  potted   plant |\tPlant ", ("potted plant", "Plant")),
        ("猫|chat noir", ("猫", "chat noir")),
        ('"salt, pepper"|"a|b"', ("salt, pepper", "a|b")),
        ('5" pipe|a""b', ('5" pipe', 'a""b')),
    ],
)
def test_a_label_is_its_first_word_and_all_synonyms(text, words):
    assert parse_label(text) == Label(name=words[0], words=words)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the label '' is empty; give it a word, such as dog"),
        (" \t", "is empty; give it a word"),
        ("|", r"the label '\|' is empty; give it a word"),
        ("car||taxi", r"the label 'car\|\|taxi' has an empty word; write a word on both sides"),
        ("car|", "has an empty word"),
        ("car|Car", "the label 'car|Car' has the word 'car' more than once; keep one"),
        ("background", r"^'background' means pixels without a label; .* --background 0\.95$"),
        ("wall|Background", "'background' means pixels without a label"),
        ("sky, car", "'sky, car' is several labels, since commas separate them; give one, or put"),
        ('sky|"a, b', "has a quotation mark that is not closed; close it"),
        ('""', "is empty; give it a word"),
    ],
)
def test_a_bad_label_is_refused_with_the_way_out(text, sentence):
    with pytest.raises(InputError, match=sentence):
        parse_label(text)


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ([], "^labels is empty; give at least one word, such as dog$"),
        (["cat", ""], "the label '' is empty"),
        (["cat", "dog", "Cat"], "the label 'Cat' is given twice; keep one of them"),
        (["straße", "STRASSE"], "the label 'STRASSE' is given twice"),
        (["car|taxi", "bus|Taxi"], "the word 'Taxi' is in two labels, 'car' and 'bus'; keep it"),
        (["car|taxi", "taxi"], "the word 'taxi' is in two labels, 'car' and 'taxi'"),
        ("cat", "labels is the single string 'cat'; give a list"),
    ],
)
def test_bad_lists_of_labels_are_refused_with_the_way_out(texts, sentence):
    with pytest.raises(InputError, match=sentence):
        parse_labels(texts)


def test_labels_keep_their_order():
    assert [label.name for label in parse_labels(["dog", "cat|kitten", "ox"])] == [
        "dog",
        "cat",
        "ox",
    ]


def test_a_label_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        parse_label("cat").name = "dog"


def test_every_refusal_is_one_line():
    with pytest.raises(InputError) as caught:
        parse_label("a\nb||c")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        (["sky,car,fish"], ["sky", "car", "fish"]),
        (["sky, car"], ["sky", "car"]),
        (["sky,", "car,", "fish"], ["sky", "car", "fish"]),
        (["sky", ",", "car"], ["sky", "car"]),
        (["a,b", "c"], ["a", "b", "c"]),
        (['"sky, car", dog'], ["sky, car", "dog"]),
        (['"a ""b"", c",d'], ['a "b", c', "d"]),
        (['5" pipe, 3" pipe'], ['5" pipe', '3" pipe']),
        (["car|taxi, bus|coach"], ["car", "bus"]),
    ],
)
def test_commas_separate_labels_and_quotation_marks_keep_one(texts, names):
    assert [label.name for label in parse_labels(texts)] == names
    assert [text.split("|")[0] for text in split_words(texts)] == names


def test_labels_of_commas_alone_are_refused():
    with pytest.raises(InputError, match="nothing but commas; give at least one word"):
        parse_labels([" , ", ","])


@pytest.mark.parametrize("word", ['a"b', "salt, pepper", "p|q", '"', "dog", '"dog"'])
def test_a_quoted_word_is_one_label_with_this_word(word):
    assert parse_labels(["cat", quoted(word)])[1].words == (word,)


def test_no_packaged_list_of_classes_has_a_comma():
    for benchmark in PUBLISHED.values():
        assert split_labels(benchmark.labels) == benchmark.labels
    assert split_labels(imagenet_classes()) == imagenet_classes()
