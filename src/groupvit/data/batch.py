"""What training gets at each step."""

from typing import NamedTuple

from jaxtyping import Int, UInt8
from torch import Tensor

NOUNS_PER_CAPTION = 16
"""How many nouns of a caption a batch can tell of."""


class Batch(NamedTuple):
    """Images with captions and noun prompts of one rank."""

    images: UInt8[Tensor, "batch 3 height width"]
    """RGB, 0 to 255, cropped and resized to the training size."""
    tokens: Int[Tensor, "batch text position"]
    """Token ids: text 0 is the caption, the others are prompts of its nouns; zeros behind END."""
    prompt_nouns: Int[Tensor, "batch prompt"]
    """Id of each prompt's noun; of the caption where the raw caption stands in for a prompt."""
    caption_nouns: Int[Tensor, "batch noun"]
    """Ids of the different nouns of the caption, the first 16; zeros, which are no noun, behind."""
    damaged: int
    """How many samples of this batch could not be read and were replaced."""
