"""One training step up to the gradients: the whole batch at once, or by gradient caching."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils._pytree import tree_leaves, tree_map

from groupvit.data.batch import Batch
from groupvit.distributed import Ranks
from groupvit.model.efficientnet import Middle
from groupvit.model.features import Features
from groupvit.model.groupvit import EmbeddedPairs, GroupViT
from groupvit.training.config import ObjectiveConfig
from groupvit.training.group_usage import GroupUsage, group_usage
from groupvit.training.objective import NOUN_LOSSES, objective
from groupvit.training.pixels import PixelLoss


class StepResult(NamedTuple):
    """Losses and diagnostics of a step on this rank; `Ranks.mean` gives those of the batch."""

    losses: dict[str, Float[Tensor, ""]]
    """Terms of the objective by name, and their weighted sum as total; without gradient."""
    accuracy: Float[Tensor, ""]
    """Share of images whose own caption is nearest in the joint batch, or of pixels whose own label
    is, [0, 1]."""
    group_usage: GroupUsage
    """Usage of the groups."""


Images = Float[Tensor, "batch 3 height width"]
Tokens = Int[Tensor, "batch text position"]
Backward = Callable[[EmbeddedPairs], StepResult]
"""Computes the losses of the pairs of this rank and their gradients."""


class WholeBatch:
    """All pairs of a rank go through the model at once.

    Args:
        model: The model.
        ranks: Processes that train together.
        num_stages: Number of last stages whose segments the losses need.
    """

    def __init__(self, model: GroupViT, ranks: Ranks, *, num_stages: int) -> None:
        self.model = model
        self._wrapped = ranks.wrap(model)
        self._num_stages = num_stages

    def __call__(
        self,
        images: Images | Middle,
        tokens: Tokens,
        backward: Backward,
        autocast: torch.dtype | None,
    ) -> StepResult:
        """Add the gradients of the batch to those of the parameters."""
        with _mixed(tokens, autocast):
            pairs = self._wrapped(images, tokens, num_stages=self._num_stages)
        return backward(pairs)


class GradientCaching:
    """Large batches in little memory (Gao et al. 2021, Scaling Deep Contrastive Learning).

    The encoders go through a batch in chunks and keep only the features; projectors and losses see
    these joined and give the gradient of every feature; then the encoders go through each chunk
    again, with the same noise, and its backward pass begins from there. The gradient is that of the
    whole batch, for one more forward pass.

    Memory, for B pairs in chunks of C: the activations of the encoders for C pairs; the features of
    B pairs (of the released model 0.07 MB a pair, mostly its assignments); the activations of the
    projectors and the similarities of B pairs.

    Args:
        model: The model.
        ranks: Processes that train together.
        num_stages: Number of last stages whose segments the losses need.
        chunk: Pairs that go through the encoders at once.
    """

    def __init__(self, model: GroupViT, ranks: Ranks, *, num_stages: int, chunk: int) -> None:
        self.model = model
        self._encoders = ranks.wrap(_Encoders(model, num_stages))
        self._heads = ranks.wrap(_Heads(model, num_stages))
        self._chunk = chunk

    def __call__(
        self,
        images: Images | Middle,
        tokens: Tokens,
        backward: Backward,
        autocast: torch.dtype | None,
    ) -> StepResult:
        """Add the gradients of the batch to those of the parameters."""
        assert not isinstance(images, Middle)  # settings refuse chunks behind a trunk
        chunks = [slice(start, start + self._chunk) for start in range(0, len(images), self._chunk)]

        def encode(chunk: slice) -> _Encoded:
            with _mixed(images, autocast):
                encoded: _Encoded = self._encoders(images[chunk], tokens[chunk])
            return encoded

        states, parts = [], []
        for chunk in chunks:
            states.append(_random_state(images.device))
            # Not under no_grad: attention then takes other kernels, whose results differ enough in
            # bfloat16 on a CPU to move the gradient by an eighth of its length.
            with _unsynchronized(self._encoders):
                parts.append(tree_map(torch.detach, encode(chunk)))
        joined: _Encoded = tree_map(lambda *tensors: torch.cat(tensors), *parts)
        leaves = [x.requires_grad_(x.is_floating_point()) for x in tree_leaves(joined)]
        with _mixed(images, autocast):
            pairs = self._heads(*joined)
        result = backward(pairs)
        for chunk, state in zip(chunks, states, strict=True):
            _restore(state, images.device)
            last = chunk is chunks[-1]
            with nullcontext() if last else _unsynchronized(self._encoders):
                _continue_backward(tree_leaves(encode(chunk)), leaves, chunk)
        return result


Passes = WholeBatch | GradientCaching
"""Way through the model: forward and backward passes of a batch."""


def passes_of(
    model: GroupViT,
    ranks: Ranks,
    objective: ObjectiveConfig,
    *,
    chunk: int,
    pixels: PixelLoss | None = None,
) -> Passes:
    """Way through the model for this objective; `chunk` 0: the whole batch at once."""
    grouping = len(model.config.image.stages) - 1
    every_stage = objective.every_stage or (pixels is not None and pixels.naming == "levels")
    num_stages = max(1, grouping) if every_stage else int(objective.of_segments)
    if model.config.image.pooling == "embeddings" or (pixels and pixels.naming == "segments"):
        num_stages = max(1, num_stages)
    if chunk:
        return GradientCaching(model, ranks, num_stages=num_stages, chunk=chunk)
    return WholeBatch(model, ranks, num_stages=num_stages)


def forward_backward(
    passes: Passes,
    images: Images | Middle,
    batch: Batch,
    config: ObjectiveConfig,
    ranks: Ranks,
    *,
    autocast: torch.dtype | None,
    pixels: PixelLoss | None = None,
) -> StepResult:
    """Add the gradient of the joint batch to those of the parameters.

    Args:
        passes: Way through the model, from `passes_of`.
        images: Augmented and normalized; or the middle maps of a trunk, which only the whole batch
            at once takes.
        batch: Texts of the images.
        config: Objective.
        ranks: Processes that hold the other rows of the joint batch.
        autocast: bfloat16, for encoders and projectors; None leaves them in their own precision.
            Normalization, similarities and losses stay in float32.
        pixels: Objective of batches with masks, in a run that has any.
    """

    def backward(pairs: EmbeddedPairs) -> StepResult:
        if batch.masks is None or pixels is None:
            found = objective(pairs, batch, config, ranks)
        else:
            found = pixels(pairs, batch.masks, ranks)
        torch.autograd.backward(found.total)
        return StepResult(
            {name: loss.detach() for name, loss in (found.parts | {"total": found.total}).items()},
            found.accuracy,
            group_usage(pairs.image.assignments),
        )

    result = passes(images, batch.tokens, backward, autocast)
    if pixels or (config.of_nouns and not NOUN_LOSSES & result.losses.keys()):
        _remove_zero_gradients(passes.model)
    return result


def _remove_zero_gradients(model: nn.Module) -> None:
    """Leave parameters that no loss reaches as they are, without weight decay or momentum."""
    for parameter in model.parameters():
        if parameter.grad is not None and not parameter.grad.any():
            parameter.grad = None


_Encoded = tuple[Features, Float[Tensor, "batch text text_dim"]]


class _Encoders(nn.Module):
    """Both encoders, which treat every pair by itself."""

    def __init__(self, model: GroupViT, num_stages: int) -> None:
        super().__init__()
        self.image_encoder, self.text_encoder = model.image_encoder, model.text_encoder
        self._encode, self._num_stages = model.encode, num_stages
        self._with_patches = model.patch_projector is not None

    def forward(self, images: Images, tokens: Tokens) -> _Encoded:
        """Features of the images, as far as the projectors need them, and of the texts."""
        features, texts = self._encode(images, tokens)
        return features.kept(self._num_stages, patches=self._with_patches), texts


class _Heads(nn.Module):
    """Projectors and temperatures, which see all pairs of the batch."""

    def __init__(self, model: GroupViT, num_stages: int) -> None:
        super().__init__()
        self.image_projector, self.text_projector = model.image_projector, model.text_projector
        self.patch_projector, self.background_layer = model.patch_projector, model.background_layer
        self.log_scale, self.multi_label_log_scale = model.log_scale, model.multi_label_log_scale
        self.spatial_block = model.spatial_block
        self._embed, self._num_stages = model.embed, num_stages

    def forward(
        self, features: Features, texts: Float[Tensor, "batch text text_dim"]
    ) -> EmbeddedPairs:
        """See `GroupViT.embed`."""
        return self._embed(features, texts, num_stages=self._num_stages)


def _mixed(inputs: Tensor, autocast: torch.dtype | None) -> torch.autocast:
    return torch.autocast(inputs.device.type, autocast, enabled=autocast is not None)


def _continue_backward(encoded: Sequence[Tensor], leaves: Sequence[Tensor], chunk: slice) -> None:
    """Carry the gradient of a chunk from the joined features into the encoders."""
    wanted = [
        (tensor, leaf.grad[chunk])
        for tensor, leaf in zip(encoded, leaves, strict=True)
        if leaf.grad is not None and tensor.requires_grad
    ]
    tensors, gradients = zip(*wanted, strict=True)
    torch.autograd.backward(tensors, gradients)


def _unsynchronized(module: nn.Module) -> AbstractContextManager[None]:
    """Keep gradients on this rank until a later backward pass sends all of them."""
    if isinstance(module, DistributedDataParallel):
        return module.no_sync()
    return nullcontext()


def _random_state(device: torch.device) -> tuple[Tensor, ...]:
    """State of the generators that noise is drawn from: the CPU's, and the device's own."""
    if device.type == "cpu":
        return (torch.get_rng_state(),)
    return torch.get_rng_state(), torch.get_device_module(device.type).get_rng_state()


def _restore(state: tuple[Tensor, ...], device: torch.device) -> None:
    torch.set_rng_state(state[0])
    for own in state[1:]:
        torch.get_device_module(device.type).set_rng_state(own)
