import math
import random
from dataclasses import replace

import pytest

from groupvit.data import index
from groupvit.data.captions import draw, identity
from groupvit.data.config import DataConfig
from groupvit.data.loader import Batches
from groupvit.data.noun_counts import count
from groupvit.data.shards import Caption
from groupvit.text.tokenizer import Tokenizer
from tests.data.pairs import sample, write_tar

CAPTIONS = (
    ["a dog on grass", "two dogs near a boat"],
    ["a dog on a hill", "a hill"],
    ["dogs on grass", "a boat"],
    ["a cat"],
)


@pytest.fixture
def path(tmp_path):
    parts = [part for n, texts in enumerate(CAPTIONS) for part in sample(n, captions=texts)]
    return write_tar(tmp_path / "a.tar", parts)


@pytest.fixture
def shards(path):
    return index.prepare([path], "pattern")


def test_a_plural_is_taken_for_its_singular_if_that_occurs(shards):
    counts = count(shards, merge_plurals=True)
    assert (counts.word("dogs"), counts.key("dogs")) == ("dog", "dog")
    assert (counts.word("grass"), counts.key("grass")) == ("grass", "grass")
    assert counts.word("boats") == "boats"


def test_plurals_stay_words_of_their_own_in_prompts_if_not_merged(shards):
    counts = count(shards, merge_plurals=False)
    assert (counts.word("dogs"), counts.key("dogs"), counts.key("grass")) == ("dogs", "dog", "gras")


@pytest.mark.parametrize("merge_plurals", [True, False])
def test_a_prior_is_the_share_of_images_that_name_a_noun(shards, merge_plurals):
    counts = count(shards, merge_plurals=merge_plurals)
    shares = {"dog": 3, "dogs": 3, "hill": 1, "boat": 2, "grass": 2, "cat": 1, "ship": 1}
    for noun, number in shares.items():
        assert counts.log_prior(counts.key(noun)) == pytest.approx(math.log(number / 4))


def test_the_nouns_of_an_image_are_those_of_all_its_captions():
    captions = [Caption("first", ("dog", "grass")), Caption("second", ("dogs", "boat"))]
    for seed in range(5):
        generator = random.Random(seed)
        texts = draw(captions, ["{}"], num_prompts=4, generator=generator, of_image=True)
        assert set(texts.texts[1:4]) == {"dog", "grass", "boat"}
        assert texts.caption_nouns[:4] == [*map(identity, ("dog", "gras", "boat")), 0]
        assert texts.texts[0] == texts.texts[4]


def test_of_many_nouns_the_most_frequent_stay():
    many = tuple(f"w{n}" for n in range(20))
    captions = [Caption("a", many), Caption("b", many[-3:])]
    texts = draw(captions, ["{}"], num_prompts=30, generator=random.Random(0), of_image=True)
    assert texts.caption_nouns[:4] == [*map(identity, many[-3:]), identity("w0")]
    assert len(texts.caption_nouns) == 16
    assert set(texts.prompt_nouns[:16]) == set(texts.caption_nouns)


def test_batches_hold_the_priors_of_their_prompts(path):
    config = DataConfig(shards=(str(path),), batch_size=4, templates="simple")
    assert Batches(config, Tokenizer(), seed=0, image_size=16)[0].noun_log_prior is None
    config = replace(config, nouns_of="image", merge_plurals=True)
    batch = Batches(config, Tokenizer(), seed=0, image_size=16)[0]
    shares = {identity(noun): n for noun, n in [("dog", 3), ("boat", 2), ("grass", 2)]}
    assert batch.noun_log_prior.shape == batch.prompt_nouns.shape
    for row, nouns in enumerate(batch.prompt_nouns.tolist()):
        for column, noun in enumerate(nouns):
            expected = math.log(shares.get(noun, 1) / 4)
            assert batch.noun_log_prior[row, column].item() == pytest.approx(expected)
    assert identity("dogs") not in batch.caption_nouns
