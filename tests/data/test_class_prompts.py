import math
import random

import numpy as np
import pytest

from groupvit.data.class_prompts import LEAST_PRIOR, ClassNames
from groupvit.data.features import FeatureCache
from groupvit.text.prompts import imagenet_classes

FULL = imagenet_classes()
BUS, RETRIEVER, POODLE, GUITAR = (
    FULL.index(name) for name in ("school bus", "Golden Retriever", "Toy Poodle", "acoustic guitar")
)


class Cache(FeatureCache):
    """Two shards, in which a third of the probability is that of buses and the rest of dogs."""

    def __init__(self):
        pass

    def classes(self):
        yield np.array([[BUS, RETRIEVER]], dtype=np.int16), np.array([[0.3, 0.3]], dtype=np.float32)
        yield np.array([[POODLE]], dtype=np.int16), np.array([[0.3]], dtype=np.float32)


@pytest.fixture
def names():
    return ClassNames(Cache(), {"bus"})


def test_priors_are_mean_probabilities_of_joined_names(names):
    found = dict(zip(names.names, names.log_prior.tolist(), strict=True))
    assert found["bus"] == pytest.approx(math.log(1 / 3 + LEAST_PRIOR))
    assert found["dog"] == pytest.approx(math.log(2 / 3 + LEAST_PRIOR))
    assert found["acoustic guitar"] == pytest.approx(math.log(LEAST_PRIOR))


def test_likeliest_names_are_drawn_and_some_at_random(names):
    ids = np.array([POODLE, RETRIEVER, BUS, GUITAR]).reshape(4, 1, 1)
    probabilities = np.array([0.2, 0.2, 0.3, 0.1], dtype=np.float32).reshape(4, 1, 1)
    drawn = names.draw(ids, probabilities, ["a {}."], count=4, generator=random.Random(0))
    assert drawn.texts[:3] == ["a dog.", "a bus.", "a acoustic guitar."]
    assert [names.names[index] for index in drawn.ids[:2]] == ["dog", "bus"]
    assert drawn.log_priors == [names.log_prior[index] for index in drawn.ids]
    assert len(drawn.texts) == 4
    others = {
        names.draw(ids, probabilities, ["{}"], count=4, generator=random.Random(seed)).ids[3]
        for seed in range(8)
    }
    assert len(others) > 4
