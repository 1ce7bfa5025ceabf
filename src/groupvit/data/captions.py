"""Texts of a sample: one of its captions, and prompts of nouns (GroupViT, section 3.2)."""

import random
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from groupvit.data.batch import NOUNS_PER_CAPTION
from groupvit.data.shards import Caption
from groupvit.text.nouns import singular


class Texts(NamedTuple):
    """Texts of one sample and the ids of their nouns."""

    texts: list[str]
    """The caption, then the prompts."""
    prompt_nouns: list[int]
    """Id of each prompt's noun in the singular; of the caption where it replaces a prompt."""
    caption_nouns: list[int]
    """Ids of the caption's distinct nouns, padded with 0 to 16."""


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
) -> Texts:
    """One of the captions, and prompts of its nouns, each with a template of its own.

    Nouns are drawn by position, so that a repeated noun can be drawn twice. If there are fewer
    nouns than prompts, the caption itself replaces the missing prompts.
    """
    caption = generator.choice(captions)
    texts, prompt_nouns = [caption.text], []
    for noun in generator.sample(caption.nouns, min(num_prompts, len(caption.nouns))):
        texts.append(generator.choice(templates).replace("{}", noun))
        prompt_nouns.append(identity(singular(noun)))
    missing = num_prompts - len(prompt_nouns)
    distinct = dict.fromkeys(map(singular, caption.nouns))
    caption_nouns = list(map(identity, distinct))[:NOUNS_PER_CAPTION]
    return Texts(
        texts + [caption.text] * missing,
        prompt_nouns + [identity(caption.text)] * missing,
        caption_nouns + [0] * (NOUNS_PER_CAPTION - len(caption_nouns)),
    )
