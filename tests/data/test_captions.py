import random
from collections import Counter

import pytest

from groupvit.data.captions import draw, identity
from groupvit.data.shards import Caption
from groupvit.text.nouns import singular
from groupvit.text.templates import FULL, SIMPLE

DOGS = Caption("Two dogs on grass with a dog.", ("dogs", "grass", "dog", "dog"))
NOTHING = Caption("It is there.", ())


def drawn(captions, *, templates=SIMPLE, num_prompts=3, seed=0):
    generator = random.Random(seed)
    return draw(captions, templates, num_prompts=num_prompts, generator=generator)


def test_the_caption_comes_first_then_its_prompts():
    texts, prompt_nouns, *_ = drawn([DOGS])
    assert texts[0] == DOGS.text
    words = [text.removeprefix("a photo of a ").removesuffix(".") for text in texts[1:]]
    assert not Counter(words) - Counter(DOGS.nouns)
    assert prompt_nouns == [identity(singular(word)) for word in words]


def test_nouns_are_drawn_without_putting_them_back():
    assert all(
        drawn([DOGS], num_prompts=4, seed=n).texts.count("a photo of a dog.") == 2
        for n in range(20)
    )


def test_the_raw_caption_stands_in_for_missing_nouns():
    one = Caption("A dog.", ("dog",))
    texts, prompt_nouns, *_ = drawn([one])
    assert texts == ["A dog.", "a photo of a dog.", "A dog.", "A dog."]
    assert prompt_nouns == [identity("dog"), identity("A dog."), identity("A dog.")]


def test_a_caption_without_nouns_is_its_own_prompt():
    texts, prompt_nouns, caption_nouns, _ = drawn([NOTHING])
    assert texts == [NOTHING.text] * 4
    assert prompt_nouns == [identity(NOTHING.text)] * 3
    assert caption_nouns == [0] * 16


def test_every_caption_and_template_gets_its_turn():
    results = [drawn([DOGS, NOTHING], templates=FULL, seed=n).texts for n in range(2000)]
    share = sum(texts[0] == DOGS.text for texts in results) / 2000
    assert share == pytest.approx(0.5, abs=0.05)
    used = {text for texts in results for text in texts[1:]}
    assert len({text for text in used if "grass" in text}) == 80


def test_templates_of_one_caption_are_drawn_independently():
    results = [drawn([DOGS], templates=FULL, seed=n).texts for n in range(200)]
    shapes = [
        {text.replace(w, "{}") for text in texts[1:] for w in ("dogs", "grass", "dog")}
        for texts in results
    ]
    assert any(len(shape) > 3 for shape in shapes)


def test_without_prompts_there_is_only_the_caption():
    assert drawn([DOGS], num_prompts=0)[:2] == ([DOGS.text], [])


def test_ids_of_different_nouns_are_listed_once():
    expected = [identity(word) for word in ("dog", singular("grass"))]
    assert drawn([DOGS]).caption_nouns == expected + [0] * 14


def test_at_most_sixteen_nouns_are_listed():
    many = Caption("many", tuple(f"noun{letter}" for letter in "abcdefghijklmnopqrst"))
    assert drawn([many]).caption_nouns == [identity(word) for word in many.nouns[:16]]


def test_ids_are_the_same_everywhere_and_never_zero():
    assert identity("dog") == 2072328596179865167
    ids = {identity(f"word{number}") for number in range(10_000)}
    assert len(ids) == 10_000
    assert all(0 < number < 2**63 for number in ids)
