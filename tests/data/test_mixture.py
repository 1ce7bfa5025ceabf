from collections import Counter

import pytest

from groupvit.data.mixture import Mixture


class Numbered:
    """Stands for batches."""

    def __init__(self, name):
        self.name = name

    def __getitem__(self, number):
        return self.name, number


@pytest.mark.parametrize(
    "shares", [(1.0,), (0.7, 0.3), (1.0, 1.0, 1.0), (5.0, 1.0, 2.0), (1.0, 1e3), (0.0, 1.0)]
)
def test_sources_get_their_shares_and_skip_nothing(shares):
    mixture = Mixture([Numbered(index) for index in range(len(shares))], shares)
    places = [mixture.place(step) for step in range(4000)]
    counts = Counter(place.source for place in places)
    for index, share in enumerate(shares):
        numbers = [place.number for place in places if place.source == index]
        assert numbers == list(range(len(numbers)))
        assert abs(counts[index] - 4000 * share / sum(shares)) <= len(shares)


def test_sources_alternate():
    mixture = Mixture([Numbered("a"), Numbered("b")], [1.0, 1.0])
    assert "".join(mixture.place(step).source * "b" or "a" for step in range(6)) == "bababa"
