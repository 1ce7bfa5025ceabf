import math

import pytest
import torch
from torch.nn import functional as F

from groupvit.text.joined_classes import joined_names
from groupvit.text.prompts import imagenet_classes
from groupvit.training.distillation import distillation, targets_of

WORDS = torch.tensor([3, 5, 9])


def normalized(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_classes_of_one_name_add_up_and_names_without_a_word_are_left_out():
    names = torch.tensor([5, 9, 5, 7, 0, 12]).view(1, 6, 1, 1)
    probabilities = torch.tensor([0.4, 0.2, 0.1, 0.1, 0.05, 0.05]).half().view(1, 6, 1, 1)
    found = targets_of(names, probabilities, WORDS)
    assert found.shape == (1, 1, 1, 3)
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([0.0, 0.5, 0.2]), atol=1e-3, rtol=0)


def test_distillation_equals_a_slow_sum():
    patches, words = normalized(2, 4, 6, 8), normalized(3, 8, seed=1)
    targets = torch.rand(2, 2, 3, 3, generator=torch.Generator().manual_seed(2)) / 3
    log_prior = torch.tensor([0.1, 0.6, 0.3]).log()
    total = 0.0
    for image in range(2):
        for row in range(2):
            for column in range(3):
                place = patches[image, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
                mean = F.normalize(place.mean(dim=(0, 1)), dim=0)
                logits = [
                    20 * float(mean @ word) + float(p)
                    for word, p in zip(words, log_prior, strict=True)
                ]
                largest = max(logits)
                norm = largest + math.log(sum(math.exp(x - largest) for x in logits))
                for word in range(3):
                    total -= float(targets[image, row, column, word]) * (logits[word] - norm)
    found = distillation(patches, words, targets, log_prior, 20.0)
    assert found.item() == pytest.approx(total / 12, rel=1e-5)


def test_a_prior_that_explains_the_teacher_leaves_nothing_to_learn():
    patches = torch.zeros(1, 2, 2, 8, requires_grad=True)
    prior = torch.tensor([0.2, 0.5, 0.3])
    loss = distillation(
        patches + 1e-3, normalized(3, 8), prior.expand(1, 1, 1, 3), prior.log(), 0.0
    )
    loss.backward()
    assert patches.grad.abs().max() == 0
    assert loss.item() == pytest.approx(-float((prior * prior.log()).sum()), rel=1e-5)


def test_classes_are_joined_under_the_nouns_of_captions():
    full = imagenet_classes()
    names = joined_names({"bus", "cat"})
    assert len(names) == 1000
    assert names[full.index("school bus")] == "bus"
    assert {names[index] for index in range(151, 269)} == {"dog"}
    assert names[full.index("Golden Retriever")] == "dog"
    assert names[full.index("tench")] == "fish"
    assert names[full.index("acoustic guitar")] == "acoustic guitar"
    assert joined_names({"guitar"})[full.index("acoustic guitar")] == "guitar"
