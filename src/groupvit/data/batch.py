"""The batch of one training step."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Float16, Int, Int16, UInt8
from torch import Tensor
from torch.utils._pytree import tree_map_only

NOUNS_PER_CAPTION = 16
"""Most nouns of a caption, or of an image, in a batch."""


class TrunkFeatures(NamedTuple):
    """Stored maps of a crop of each image; see `groupvit.data.features`."""

    middle: Float16[Tensor, "batch channel row column"]
    """Map of stride 16 of the lower half of the trunk."""
    class_ids: Int16[Tensor, "batch class coarse_row coarse_column"]
    """The 16 most probable classes of ImageNet at each place of the map of stride 32."""
    class_probabilities: Float16[Tensor, "batch class coarse_row coarse_column"]
    """Their probabilities among all 1,000 classes, in falling order."""


class ClassPrompts(NamedTuple):
    """Prompts of class names that a classifier finds, and the names at each place."""

    names: Int[Tensor, "batch prompt"]
    """Name of each prompt."""
    log_prior: Float[Tensor, "batch prompt"]
    """Logarithm of the mean probability of that name over the training data."""
    at_places: Int[Tensor, "batch class coarse_row coarse_column"]
    """Name of each of the most probable classes, `TrunkFeatures.class_ids`, at each place."""


class Masks(NamedTuple):
    """Masks of images, and the words that compete for their pixels: the texts of each image."""

    targets: UInt8[Tensor, "batch height width"]
    """Number of the label of every pixel; pixels of 255 do not count."""
    owners: Int[Tensor, "batch word"]
    """Number of the label that each word belongs to; `num_labels` for padding."""
    num_labels: int
    """Labels of an image."""


class Batch(NamedTuple):
    """Images of one rank, with captions and noun prompts or with masks."""

    images: UInt8[Tensor, "batch 3 height width"]
    """RGB, 0 to 255, cropped and resized to the training size; without pixels (height and width 0)
    if the batch has features."""
    tokens: Int[Tensor, "batch text position"]
    """Token ids: text 0 is the caption, the others are prompts of its nouns, then of
    class names; or all are prompts of the words of labels. Zeros after END."""
    prompt_nouns: Int[Tensor, "batch prompt"]
    """Id of each prompt's noun; id of the caption where the caption replaces a missing prompt."""
    caption_nouns: Int[Tensor, "batch noun"]
    """Ids of the distinct nouns of the caption, or of all captions of the image, at most 16, padded
    with 0, which is no noun."""
    damaged: int
    """Number of samples that were replaced, as they could not be read, or lack their last bytes."""
    noun_log_prior: Float[Tensor, "batch prompt"] | None = None
    """Logarithm of the share of images that name each prompt's noun; that of a single image where
    the caption replaces a prompt. None unless nouns are counted, see `DataConfig.nouns_of`."""
    features: TrunkFeatures | None = None
    """Stored features in place of images, see `DataConfig.cached_crops`."""
    class_prompts: ClassPrompts | None = None
    """Class names whose prompts follow those of the nouns, see `DataConfig.class_prompts`."""
    masks: Masks | None = None
    """Masks in place of captions and nouns, see `DataConfig.masks`."""

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device; copies from pinned memory do not wait."""
        moved: Batch = tree_map_only(Tensor, lambda x: x.to(device, non_blocking=True), self)
        return moved

    def rows(self, which: Int[Tensor, " row"]) -> "Batch":
        """These samples of the batch, none of them counted as damaged."""
        chosen: Batch = tree_map_only(Tensor, lambda x: x[which], self)
        return chosen._replace(damaged=0)
