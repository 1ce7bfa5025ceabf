import torch
from torch.utils._pytree import tree_leaves

from groupvit.model.precision import with_matrices_in


def test_what_autocast_computes_is_the_same_to_the_bit(tiny_model, draw, tokens):
    network = with_matrices_in(tiny_model, torch.bfloat16)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for one, other in (
            (tiny_model.encode_text(tokens), network.encode_text(tokens)),
            *zip(
                tree_leaves(tiny_model.embed_image(draw(2, 3, 40, 56))),
                tree_leaves(network.embed_image(draw(2, 3, 40, 56))),
                strict=True,
            ),
        ):
            assert one is other is None or torch.equal(one, other)


def test_the_model_stays_as_it_is_and_shares_all_but_its_matrices(tiny_model):
    before = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    network = with_matrices_in(tiny_model, torch.bfloat16)
    now, other = dict(tiny_model.named_parameters()), dict(network.named_parameters())
    assert all(torch.equal(now[name], before[name]) for name in now)
    shared = {name for name in now if now[name] is other[name]}
    assert "image_encoder.norm.weight" in shared
    assert "text_encoder.tokens.weight" in shared
    assert all(other[name].dtype == torch.bfloat16 for name in now.keys() - shared)
    assert "image_encoder.stages.0.blocks.0.mlp.fc1.weight" not in shared
    assert all(p.requires_grad for p in now.values())
    buffers = dict(network.named_buffers())
    assert all(buffer is buffers[name] for name, buffer in tiny_model.named_buffers())
