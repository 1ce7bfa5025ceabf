"""Objective of batches with masks: cross-entropy at every pixel, between the labels of its image.

    z_pl  = log of the sum over the words w of label l of exp(s x_p . t_w)
    z     = the spatial block of z / s, times s, if the model has one; enlarged bilinearly
    loss  = - mean over the pixels i that count of log softmax_l(z_il) at the label of i

x_p is the embedding of patch p that inference compares with labels, t_w that of a word, which does
not learn, and s the inverse temperature. With one word for each label it is the loss of LSeg (Li et
al. 2022, Language-driven Semantic Segmentation, section 3.2).
"""

from dataclasses import dataclass
from math import isqrt

import torch
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from groupvit.data.batch import Masks
from groupvit.distributed import Ranks
from groupvit.evaluation.scores import IGNORED
from groupvit.model.config import SpatialConfig
from groupvit.model.groupvit import EmbeddedPairs
from groupvit.model.inference import Naming
from groupvit.model.spatial import regularized
from groupvit.training.objective import Losses, zero


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelLoss:
    """Cross-entropy of the pixels of the joint batch."""

    naming: Naming
    """Embeddings that are compared with labels, as in inference."""
    scale: float
    """Fixed inverse temperature; 0: learned, that of the captions."""
    spatial: SpatialConfig | None
    """Spatial block of the model."""

    def __call__(self, pairs: EmbeddedPairs, masks: Masks, ranks: Ranks) -> Losses:
        """Loss of the rows of this rank; its mean over ranks is that of the joint batch.

        The accuracy is the share of pixels whose label has the largest logit.

        Args:
            pairs: Images, and as texts the words of their labels.
            masks: Labels of the pixels and owners of the words.
            ranks: Processes that hold the other rows of the joint batch.
        """
        maps = self.logits(pairs, masks)
        found = [
            # One image after the other, and again in the backward pass: the logits of all labels at
            # all pixels of a batch would take gigabytes.
            checkpoint(_of_image, *one, use_reentrant=False, preserve_rng_state=False)
            for one in zip(maps, masks.targets, strict=True)
        ]
        sums, correct = (torch.stack(values).sum() for values in zip(*found, strict=True))
        count = ranks.mean((masks.targets != IGNORED).sum().to(maps.dtype)).clamp(min=1)
        loss = sums / count
        total = loss + zero(pairs) if ranks.world_size > 1 else loss
        return Losses(total, {"pixels": loss}, correct / count)

    def logits(self, pairs: EmbeddedPairs, masks: Masks) -> Float[Tensor, "batch label row column"]:
        """Logits of the labels at every patch; training images are square."""
        patches = pairs.image.named(self.naming)
        scale = pairs.logit_scale.new_tensor(self.scale) if self.scale else pairs.logit_scale
        with torch.autocast(patches.device.type, enabled=False):
            exact = patches.to(torch.promote_types(patches.dtype, torch.float32))
            words = pairs.text.detach().to(exact.dtype)
            similar = scale * torch.einsum("bpe,bwe->bwp", exact, words)
            of_labels = sum_over_words(similar, masks.owners, masks.num_labels)
            side = isqrt(patches.shape[1])
            maps = rearrange(
                of_labels, "batch label (row column) -> batch label row column", row=side
            )
            if self.spatial is None or pairs.spatial is None:
                return maps
            return scale * regularized(maps / scale, pairs.spatial, self.spatial)


def sum_over_words(
    similar: Float[Tensor, "batch word patch"],
    owners: Int[Tensor, "batch word"],
    num_labels: int,
) -> Float[Tensor, "batch label patch"]:
    """Logarithm of the sum of the exponentials of each label's words, as in segmentation.

    Args:
        similar: Scaled similarity of each word.
        owners: Label of each word; `num_labels` for padding, which is left out.
        num_labels: Number of labels, each of which has words.
    """
    index = owners[..., None].expand_as(similar)
    lowest = similar.new_full((len(similar), num_labels + 1, similar.shape[-1]), -torch.inf)
    highest = lowest.scatter_reduce(1, index, similar.detach(), reduce="amax")
    # As a product, not by scatter_add, whose order of adding is not fixed on every device.
    members = F.one_hot(owners, num_labels + 1)[..., :num_labels].to(similar.dtype)
    terms = (similar - highest.gather(1, index)).exp()
    return highest[:, :num_labels] + torch.einsum("bwp,bwl->blp", terms, members).log()


def _of_image(
    logits: Float[Tensor, "label row column"], target: UInt8[Tensor, "height width"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Sum of the losses of the pixels of an image that count, and number of its correct pixels."""
    size = target.shape[0], target.shape[1]
    large = F.interpolate(logits[None], size, mode="bilinear", align_corners=False)
    labels = target[None].long()
    loss = F.cross_entropy(large, labels, ignore_index=IGNORED, reduction="sum")
    correct = (large.detach().max(dim=1).indices == labels).sum()
    return loss, correct.to(loss.dtype)
