"""Results of the two halves of the model: `Features` of the encoder, `Embedded` in text space."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from groupvit.model.inference import Naming


class Features(NamedTuple):
    """Patches, segments and assignments of images, before any projection.

    The tuples hold one entry for every stage that groups. Without such a stage `segments` holds the
    tokens of the last stage alone.
    """

    patches: Float[Tensor, "batch token dim"]
    """Patches as the first grouping block takes them; on the grid
    `ImageEncoderConfig.patch_grid`, which may be coarser than that of the first assignment."""
    segments: tuple[Float[Tensor, "batch _ dim"], ...]
    """Segments of each stage "batch group dim", normalized."""
    assignments: tuple[Float[Tensor, "batch _ _"], ...]
    """Soft assignment of each stage "batch group token"; sums to 1 over the groups."""
    occupied: tuple[Bool[Tensor, "batch _"], ...]
    """Segments of each stage that hold a patch under hard assignment."""

    def kept(self, num_stages: int, *, patches: bool) -> "Features":
        """Features without what `GroupViT.embed_features` does not need.

        Args:
            num_stages: Number of last stages whose segments are embedded; the last is always kept.
            patches: Keep the patches; otherwise they become an empty tensor.
        """
        return self._replace(
            patches=self.patches if patches else self.patches[:, :0],
            segments=self.segments[-max(1, num_stages) :],
        )


class Embedded(NamedTuple):
    """Images and their parts in the space shared with text, L2-normalized."""

    image: Float[Tensor, "batch embedding"]
    """Whole images."""
    segments: tuple[Float[Tensor, "batch _ embedding"], ...]
    """Segments of the last stages that were requested, the last stage last."""
    patches: Float[Tensor, "batch token embedding"] | None
    """Patches; None for a model without a projector for them."""
    assignments: tuple[Float[Tensor, "batch _ _"], ...]
    """As in `Features`."""
    occupied: tuple[Bool[Tensor, "batch _"], ...]
    """As in `Features`."""

    def named(self, naming: Naming) -> Float[Tensor, "batch token embedding"]:
        """Embedding of each patch that is compared with labels, in training; not normalized.

        A patch has that of its segments of the last stage in the shares that they hold of it, or
        that of `patch_embeddings`, or its own.
        """
        if naming == "levels":
            return self.patch_embeddings()
        if naming == "parts":
            assert self.patches is not None
            return self.patches
        shares: Tensor | None = None  # (batch, group, patch): chained over the stages
        for assignment in self.assignments:
            shares = assignment if shares is None else assignment @ shares
        last = self.segments[-1]
        return last if shares is None else shares.mT.to(last.dtype) @ last

    def patch_embeddings(self) -> Float[Tensor, "batch token embedding"]:
        """Mean embedding of each patch and of its segments at every stage, not normalized.

        A segment counts for a patch by the share of the patch that it holds, so that the similarity
        to a text is the mean of the similarities of the patch and of its segments. Needs the
        segments of every stage; without any grouping these are the patches.
        """
        if not self.assignments:
            return self.segments[-1]
        assert len(self.segments) == len(self.assignments)
        levels = [] if self.patches is None else [self.patches]
        shares: Tensor | None = None  # (batch, group, patch): chained over the stages
        for segments, assignment in zip(self.segments, self.assignments, strict=True):
            shares = assignment if shares is None else assignment @ shares
            levels.append(shares.mT @ segments.to(shares.dtype))
        return torch.stack(levels).mean(dim=0)
