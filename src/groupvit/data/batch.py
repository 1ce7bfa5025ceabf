"""The batch of one training step."""

from typing import NamedTuple

from jaxtyping import Int, UInt8
from torch import Tensor

NOUNS_PER_CAPTION = 16
"""Most nouns of a caption in a batch."""


class Batch(NamedTuple):
    """Images with captions and noun prompts of one rank."""

    images: UInt8[Tensor, "batch 3 height width"]
    """RGB, 0 to 255, cropped and resized to the training size."""
    tokens: Int[Tensor, "batch text position"]
    """Token ids: text 0 is the caption, the others are prompts of its nouns; zeros after END."""
    prompt_nouns: Int[Tensor, "batch prompt"]
    """Id of each prompt's noun; id of the caption where the caption replaces a missing prompt."""
    caption_nouns: Int[Tensor, "batch noun"]
    """Ids of the distinct nouns of the caption, at most 16, padded with 0, which is no noun."""
    damaged: int
    """Number of samples that were replaced, as they could not be read, or lack their last bytes."""
