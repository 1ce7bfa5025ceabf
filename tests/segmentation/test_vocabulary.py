import pytest
import torch
import torch.nn.functional as F

from groupvit import InputError
from groupvit.segmentation.vocabulary import Vocabulary
from groupvit.text.templates import SUBSET
from groupvit.text.tokenizer import Tokenizer

TEMPLATES = ("a photo of a {}.", "the {}")


@pytest.fixture
def vocabulary(lively_model):
    with torch.inference_mode():
        yield Vocabulary(lively_model)


def test_a_word_is_the_normalized_mean_of_its_prompts(vocabulary, lively_model):
    rows = lively_model.encode_text(Tokenizer()(["a photo of a dog.", "the dog"]))
    expected = F.normalize(rows.mean(dim=0), dim=0)
    assert torch.allclose(vocabulary.embed(["dog"], TEMPLATES)[0], expected, atol=1e-6)


def test_words_do_not_depend_on_their_company(vocabulary, lively_model):
    alone = Vocabulary(lively_model).embed(["dog"], SUBSET)
    among = vocabulary.embed(["a very long name of a thing", "dog", "cat"], SUBSET)
    assert torch.allclose(alone[0], among[1], atol=1e-6)


def test_a_word_is_encoded_once(vocabulary, lively_model, monkeypatch):
    first = vocabulary.embed(["dog", "cat"], TEMPLATES)
    monkeypatch.setattr(lively_model, "encode_text", None)
    assert torch.equal(vocabulary.embed(["cat", "dog"], TEMPLATES), first.flip(0))


def test_other_templates_give_other_embeddings(vocabulary):
    assert not torch.allclose(
        vocabulary.embed(["dog"], TEMPLATES), vocabulary.embed(["dog"], ("{}",)), atol=1e-3
    )


def test_the_least_recently_used_words_are_forgotten(vocabulary, monkeypatch):
    monkeypatch.setattr(Vocabulary, "REMEMBERED", 2)
    vocabulary.embed(["dog", "cat", "cow"], TEMPLATES)
    assert [word for word, _ in vocabulary._known] == ["cat", "cow"]


def test_a_word_that_is_too_long_is_refused(vocabulary):
    with pytest.raises(InputError, match="tokens, more than the 77"):
        vocabulary.embed(["dog " * 80], TEMPLATES)
