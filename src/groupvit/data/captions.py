"""Texts of a sample: one of its captions, and prompts of nouns (GroupViT, section 3.2)."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from groupvit.data.batch import NOUNS_PER_CAPTION
from groupvit.data.noun_counts import NounCounts
from groupvit.data.shards import Caption
from groupvit.text.nouns import singular


class Texts(NamedTuple):
    """Texts of one sample and the ids of their nouns."""

    texts: list[str]
    """The caption, then the prompts."""
    prompt_nouns: list[int]
    """Id of each prompt's noun in the singular; of the caption where it replaces a prompt."""
    caption_nouns: list[int]
    """Ids of the distinct nouns of the caption or the image, padded with 0 to 16."""
    log_priors: list[float]
    """Logarithm of the share of images that name each prompt's noun; empty if nouns are not
    counted."""


@lru_cache(maxsize=2**16)
def identity(text: str) -> int:
    """Hash of a text: 63 bits, never 0, the same on every machine."""
    digest = blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1 or 1


def draw(
    captions: Sequence[Caption],
    templates: Sequence[str],
    *,
    num_prompts: int,
    generator: random.Random,
    counts: NounCounts | None = None,
    of_image: bool = False,
) -> Texts:
    """One of the captions, and prompts of its nouns, each with a template of its own.

    Nouns of a caption are drawn by position, so that a repeated noun can be drawn twice; those of
    an image are distinct. If there are fewer nouns than prompts, the caption itself replaces the
    missing prompts.

    Args:
        captions: Captions of the image.
        templates: Templates of the prompts.
        num_prompts: Number of prompts.
        generator: The only source of randomness.
        counts: Nouns of all shards, for merged plurals and log priors; None: neither.
        of_image: True for the nouns of all captions in place of those of the drawn one; at most
            16, those that occur most often.
    """
    caption = generator.choice(captions)
    key = singular if counts is None else counts.key
    nouns = _of_all(captions, key) if of_image else caption.nouns
    drawn = generator.sample(nouns, min(num_prompts, len(nouns)))
    words = drawn if counts is None else list(map(counts.word, drawn))
    prompts = [generator.choice(templates).replace("{}", word) for word in words]
    missing = num_prompts - len(prompts)
    keys = list(map(key, drawn))
    distinct = dict.fromkeys(map(key, nouns))
    caption_nouns = list(map(identity, distinct))[:NOUNS_PER_CAPTION]
    return Texts(
        [caption.text, *prompts] + [caption.text] * missing,
        list(map(identity, keys)) + [identity(caption.text)] * missing,
        caption_nouns + [0] * (NOUNS_PER_CAPTION - len(caption_nouns)),
        [] if counts is None else list(map(counts.log_prior, [*keys, *[""] * missing])),
    )


def _of_all(captions: Sequence[Caption], key: Callable[[str], str]) -> tuple[str, ...]:
    """Distinct nouns of all captions; the most frequent come first, then those that occur first."""
    occurrences: Counter[str] = Counter()
    first: dict[str, str] = {}
    for caption in captions:
        for noun in caption.nouns:
            occurrences[key(noun)] += 1
            first.setdefault(key(noun), noun)
    return tuple(first[name] for name, _ in occurrences.most_common(NOUNS_PER_CAPTION))
