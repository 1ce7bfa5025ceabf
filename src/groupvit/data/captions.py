"""Texts of a sample: one of its captions, and prompts of nouns (GroupViT, section 3.2)."""

import random
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from groupvit.data.batch import NOUNS_PER_CAPTION
from groupvit.data.shards import Caption
from groupvit.text.nouns import singular
from groupvit.text.prompts import prompts


class Texts(NamedTuple):
    """What the text encoder reads of one sample, and what it speaks of."""

    texts: list[str]
    """The caption, then the prompts."""
    prompt_nouns: list[int]
    """Id of each prompt's noun in the singular, or of the caption where it stands in for one."""
    caption_nouns: list[int]
    """Ids of the caption's different nouns, padded with 0 to 16."""


@lru_cache(maxsize=2**16)
def identity(text: str) -> int:
    """A number of 63 bits, never 0, that stands for a text on every machine."""
    digest = blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1 or 1


def draw(
    captions: Sequence[Caption],
    templates: Sequence[str],
    *,
    num_prompts: int,
    generator: random.Random,
) -> Texts:
    """One of the captions, and so many of its nouns, each in a template of its own.

    Nouns are drawn by their places, so that a word that stands twice can be drawn twice. Where
    there are fewer nouns than prompts, the raw caption stands in for the others.
    """
    caption = generator.choice(captions)
    nouns = generator.sample(caption.nouns, min(num_prompts, len(caption.nouns)))
    missing = num_prompts - len(nouns)
    filled = [prompts(noun, [generator.choice(templates)])[0] for noun in nouns]
    singulars = dict.fromkeys(map(singular, caption.nouns))
    ids = [identity(noun) for noun in singulars][:NOUNS_PER_CAPTION]
    return Texts(
        [caption.text, *filled, *[caption.text] * missing],
        [*(identity(singular(noun)) for noun in nouns), *[identity(caption.text)] * missing],
        ids + [0] * (NOUNS_PER_CAPTION - len(ids)),
    )
