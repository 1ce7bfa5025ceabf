import copy
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
import torch
import torch.nn.functional as F

from groupvit import InputError
from groupvit.segmentation.word_embeddings import WordEmbeddings
from groupvit.text.templates import SUBSET
from groupvit.text.tokenizer import Tokenizer

TEMPLATES = ("a photo of a {}.", "the {}")


@pytest.fixture
def embeddings(lively_model):
    with torch.inference_mode():
        yield WordEmbeddings(lively_model)


def test_a_word_is_the_normalized_mean_of_its_prompts(embeddings, lively_model):
    rows = lively_model.encode_text(Tokenizer()(["a photo of a dog.", "the dog"]))
    expected = F.normalize(rows.mean(dim=0), dim=0)
    assert torch.allclose(embeddings.embed(["dog"], TEMPLATES)[0], expected, atol=1e-6)


def test_words_do_not_depend_on_their_company(embeddings, lively_model):
    alone = WordEmbeddings(lively_model).embed(["dog"], SUBSET)
    among = embeddings.embed(["a very long name of a thing", "dog", "cat"], SUBSET)
    assert torch.allclose(alone[0], among[1], atol=1e-6)


def test_a_word_is_encoded_once(embeddings, lively_model, monkeypatch):
    first = embeddings.embed(["dog", "cat"], TEMPLATES)
    monkeypatch.setattr(lively_model, "encode_text", None)
    assert torch.equal(embeddings.embed(["cat", "dog"], TEMPLATES), first.flip(0))


def test_other_templates_give_other_embeddings(embeddings):
    assert not torch.allclose(
        embeddings.embed(["dog"], TEMPLATES), embeddings.embed(["dog"], ("{}",)), atol=1e-3
    )


def test_the_least_recently_used_words_are_forgotten(embeddings, monkeypatch):
    monkeypatch.setattr(WordEmbeddings, "REMEMBERED", 2)
    embeddings.embed(["dog", "cat", "cow"], TEMPLATES)
    assert [word for word, _ in embeddings._known] == ["cat", "cow"]


def test_a_word_that_is_too_long_is_refused(embeddings):
    with pytest.raises(InputError, match="tokens, more than the 77"):
        embeddings.embed(["dog " * 80], TEMPLATES)


def test_threads_share_a_small_memory_of_words(embeddings, monkeypatch):
    monkeypatch.setattr(WordEmbeddings, "REMEMBERED", 3)
    vocabulary = [f"word {letter}" for letter in "abcdefgh"]
    with torch.inference_mode():
        expected = dict(zip(vocabulary, embeddings.embed(vocabulary, TEMPLATES), strict=True))

    def embed(seed):
        words = Random(seed).sample(vocabulary, 5)
        with torch.inference_mode():
            found = embeddings.embed([*words, words[0]], TEMPLATES)
        for word, row in zip([*words, words[0]], found, strict=True):
            assert torch.allclose(row, expected[word], rtol=0, atol=5e-7)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(embed, range(200)))
    assert len(embeddings._known) == 3


def test_a_word_that_is_given_twice_is_encoded_once(embeddings, lively_model, monkeypatch):
    encoded = []
    encode = lively_model.encode_text

    def counting(tokens):
        encoded.extend(tokens)
        return encode(tokens)

    monkeypatch.setattr(lively_model, "encode_text", counting)
    found = embeddings.embed(["dog", "dog"], TEMPLATES)
    assert torch.equal(found[0], found[1])
    assert len(encoded) == len(TEMPLATES)


def test_first_words_are_kept_for_the_next_run(lively_model, monkeypatch, tmp_path):
    monkeypatch.setenv("GROUPVIT_CACHE", str(tmp_path))
    words = [f"thing {letter}" for letter in "abcdefgh"]
    with torch.inference_mode():
        first = WordEmbeddings(lively_model).embed(words, TEMPLATES)
        (kept,) = tmp_path.iterdir()
        encode = lively_model.encode_text

        def refuse(_tokens):
            raise RecursionError

        monkeypatch.setattr(lively_model, "encode_text", refuse)
        again = WordEmbeddings(lively_model)
        assert torch.equal(again.embed(words, TEMPLATES), first)
        with pytest.raises(RecursionError):  # other templates
            WordEmbeddings(lively_model).embed(words, ("{}", "a {}"))
        with pytest.raises(RecursionError):  # another set of words
            WordEmbeddings(lively_model).embed(words[::-1], TEMPLATES)
        with pytest.raises(RecursionError):  # too few to keep
            WordEmbeddings(lively_model).embed(words[:2], TEMPLATES)
        monkeypatch.setattr(lively_model, "encode_text", encode)
        again.embed(["later", *words], TEMPLATES)
        assert list(tmp_path.iterdir()) == [kept]
        kept.write_bytes(b"damaged")
        assert torch.equal(WordEmbeddings(lively_model).embed(words, TEMPLATES), first)
        assert kept.read_bytes() != b"damaged"


def test_other_weights_have_words_of_their_own(lively_model, monkeypatch, tmp_path):
    monkeypatch.setenv("GROUPVIT_CACHE", str(tmp_path))
    words = [f"thing {letter}" for letter in "abcdefgh"]
    with torch.inference_mode():
        first = WordEmbeddings(lively_model).embed(words, TEMPLATES)
        changed = copy.deepcopy(lively_model)
        changed.text_projector.fc1.weight.mul_(-1)
        assert not torch.allclose(WordEmbeddings(changed).embed(words, TEMPLATES), first, atol=1e-3)
    assert len(list(tmp_path.iterdir())) == 2
