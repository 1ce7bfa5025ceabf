import copy

import numpy as np
import pytest
import torch

from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.during_training import quick_scores
from groupvit.evaluation.evaluate import evaluate
from groupvit.model.inference import DEFAULT_INFERENCE
from groupvit.segmentation.segmenter import Segmenter
from tests.evaluation.folders import with_background


@pytest.fixture
def model(lively_model):
    return copy.deepcopy(lively_model)


def quick(model, folder, limit=2):
    benchmark = read_folder(folder)
    return quick_scores(model, benchmark, inference=DEFAULT_INFERENCE, limit=limit, device="cpu")


def test_it_gives_the_scores_of_an_evaluation(model, book):
    found = evaluate(Segmenter(model), read_folder(book), limit=3)
    expected = {
        "miou": found.scores.miou,
        "one_class_miou": found.one_class.miou,
        "oracle_miou": found.oracle.miou,
    }
    assert quick(model, book, limit=3) == expected


def test_a_limit_of_zero_takes_all_images(model, book):
    assert quick(model, book, limit=0) == quick(model, book, limit=5) != quick(model, book)


def test_a_background_needs_no_setting(model, folder):
    benchmark = read_folder(with_background(folder))
    found = evaluate(Segmenter(model), benchmark)
    assert quick(model, folder)["miou"] == found.scores.miou


def test_every_part_keeps_its_mode(model, book):
    model.train()
    model.text_encoder.eval()
    before = [module.training for module in model.modules()]
    quick(model, book)
    assert [module.training for module in model.modules()] == before


def test_a_mistake_leaves_the_mode_too(model, folder):
    model.train()
    (folder / "images/000.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="is not a JPEG"):
        quick(model, folder)
    assert model.training


def test_no_state_of_randomness_moves(model, book):
    # Python's own moves in tests only: the checks of annotations look at random items.
    torch_state, numpy_state = torch.get_rng_state(), str(np.random.get_state())
    quick(model.train(), book)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert str(np.random.get_state()) == numpy_state


def test_weights_and_gradients_stay_and_can_learn_on(model, book):
    before = copy.deepcopy(model.state_dict())
    quick(model, book)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    model.embed_image(torch.zeros(1, 3, 64, 64)).image.sum().backward()
    assert model.image_encoder.positions.weight.grad is not None


@pytest.mark.slow
def test_weights_that_a_fused_optimizer_changed_are_seen(model, book):
    quick(model, book)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3.0, fused=True)
    for parameter in model.parameters():
        parameter.grad = torch.randn(
            parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())
        )
    optimizer.step()
    assert quick(model, book) == quick(copy.deepcopy(model), book)
