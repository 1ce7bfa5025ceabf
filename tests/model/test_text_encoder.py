import pytest
import torch

from groupvit.model import text_encoder
from groupvit.model.text_encoder import TextEncoder, trim

END = 49407


@pytest.fixture
def encoder(tiny_config, enliven):
    return enliven(TextEncoder(tiny_config.text), std=0.2).eval()


def test_trimming_cuts_what_all_texts_pad(tokens):
    assert torch.equal(trim(tokens), tokens[:, :8])
    assert torch.equal(trim(tokens[1:2]), tokens[1:2, :4])
    assert torch.equal(trim(tokens[:, :8]), tokens[:, :8])


def test_trimmed_texts_are_encoded_as_padded_ones(encoder, tokens, monkeypatch):
    trimmed = encoder(tokens)
    assert trimmed.shape == (3, 32)
    monkeypatch.setattr(text_encoder, "trim", lambda tokens: tokens)
    torch.testing.assert_close(encoder(tokens), trimmed, atol=1e-6, rtol=1e-6)


def test_nothing_after_the_end_matters(encoder, tokens):
    other = tokens.clone()
    other[1, 4:] = 777
    torch.testing.assert_close(encoder(other), encoder(tokens), atol=1e-6, rtol=1e-6)


def test_a_text_is_read_at_its_first_end(encoder, tokens):
    twice = tokens.clone()
    twice[:, 20] = END
    twice[:, 30] = END
    torch.testing.assert_close(encoder(twice), encoder(tokens), atol=1e-6, rtol=1e-6)


def test_padding_may_be_the_end_itself(encoder, tokens):
    padded = tokens.masked_fill(tokens == 0, END)
    torch.testing.assert_close(encoder(padded), encoder(tokens), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("position", [0, 1, 6])
def test_every_token_up_to_the_end_matters(encoder, tokens, position):
    other = tokens.clone()
    other[0, position] = 777
    encoded, expected = encoder(other), encoder(tokens)
    assert not torch.allclose(encoded[0], expected[0], atol=1e-3)
    torch.testing.assert_close(encoded[1:], expected[1:], atol=1e-6, rtol=1e-6)


def test_the_order_of_words_matters(encoder, tokens):
    turned = tokens.clone()
    turned[0, 1:7] = tokens[0, 1:7].flip(0)
    assert not torch.allclose(encoder(turned)[0], encoder(tokens)[0], atol=1e-3)


def test_the_neighbors_in_a_batch_do_not_matter(encoder, tokens):
    torch.testing.assert_close(encoder(tokens)[1:2], encoder(tokens[1:2]), atol=1e-6, rtol=1e-6)


def test_a_text_may_fill_the_whole_context(encoder):
    full = torch.full((1, 77), 320)
    full[0, -1] = END
    assert encoder(full).isfinite().all()


def test_every_parameter_of_the_text_learns(encoder, tokens, draw):
    (encoder(tokens) * draw(3, 32)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.ndim < 2 or parameter.grad.abs().sum() > 0, name
