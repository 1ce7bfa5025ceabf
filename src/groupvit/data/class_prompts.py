"""Prompts of the class names that a pretrained classifier finds in an image, for distillation."""

import random
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from groupvit.data.features import FeatureCache
from groupvit.text.joined_classes import joined_names

LEAST_PRIOR = 2e-4
"""Prior of a name that the classifier finds nowhere."""
RANDOM_SHARE = 3
"""One in so many prompts of an image is of a random name."""


class DrawnNames(NamedTuple):
    """Prompts of the class names of one image."""

    texts: list[str]
    """Prompts."""
    ids: list[int]
    """Name of each prompt."""
    log_priors: list[float]
    """Logarithm of the mean probability of each name over all places of all images."""


class ClassNames:
    """Names of the classifier's classes, and how probable they are in the stored features.

    Args:
        cache: Complete cache.
        nouns: Nouns of the captions in the singular; classes whose names end in one are joined.
    """

    def __init__(self, cache: FeatureCache, nouns: Collection[str]) -> None:
        of_class = joined_names(nouns)
        self.names = tuple(dict.fromkeys(of_class))
        number = {name: index for index, name in enumerate(self.names)}
        self.of_class = np.array([number[name] for name in of_class])
        """Name of each class."""
        sums = np.zeros(len(self.names))
        for ids, probabilities in cache.classes():
            sums += np.bincount(
                self.of_class[ids.ravel()], probabilities.ravel(), minlength=len(sums)
            )
        self.log_prior = np.log(sums / sums.sum() + LEAST_PRIOR)

    def draw(
        self,
        ids: Int[np.ndarray, "class row column"],
        probabilities: Float[np.ndarray, "class row column"],
        templates: Sequence[str],
        *,
        count: int,
        generator: random.Random,
    ) -> DrawnNames:
        """Prompts of the most probable names in an image, and of some random ones.

        Args:
            ids: Likeliest classes at each place.
            probabilities: Their probabilities.
            templates: Templates of the prompts.
            count: Number of prompts.
            generator: The only source of randomness.
        """
        names = self.of_class[ids.ravel()]
        found = np.bincount(names, probabilities.ravel(), minlength=len(self.names))
        at_random = count // RANDOM_SHARE
        chosen = np.argsort(-found, kind="stable")[: count - at_random].tolist()
        chosen += generator.sample(range(len(self.names)), at_random)
        texts = [generator.choice(templates).replace("{}", self.names[name]) for name in chosen]
        return DrawnNames(texts, chosen, self.log_prior[chosen].tolist())
