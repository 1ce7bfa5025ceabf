"""Classes of ImageNet joined under common nouns, as captions name things.

ImageNet-1k tells 118 breeds of dogs apart, while captions have «dog». Where a classifier teaches
the names of things (`groupvit.training.distillation`), the probabilities of classes that share a
noun add up.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from groupvit.text.prompts import imagenet_classes

RANGES: Mapping[str, tuple[range, ...]] = MappingProxyType(
    {
        "fish": (range(7), range(389, 398)),
        "bird": (range(7, 25), range(80, 101), range(127, 147)),
        "snake": (range(52, 69),),
        "dog": (range(151, 269),),
        "cat": (range(281, 286),),
        "insect": (range(300, 321),),
        "monkey": (range(365, 383),),
    }
)
"""Class indices, in the order of ImageNet, whose names do not end in their common noun."""


def joined_names(nouns: Collection[str]) -> tuple[str, ...]:
    """Name of each of the 1,000 classes: a common noun, or the full name of the class.

    Args:
        nouns: Known nouns in lower case and the singular. A class whose name ends in one of them
            takes it: "school bus" becomes "bus".
    """
    names = []
    for name in imagenet_classes():
        last = name.split("(")[0].split()[-1].lower()
        names.append(last if last in nouns else name)
    for noun, ranges in RANGES.items():
        for some in ranges:
            names[some.start : some.stop] = [noun] * len(some)
    return tuple(names)


def distinct_names(nouns: Collection[str]) -> tuple[str, ...]:
    """Each of the joined names once, in the order of the classes; see `joined_names`."""
    return tuple(dict.fromkeys(joined_names(nouns)))
