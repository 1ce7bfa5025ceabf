"""One step of training up to the gradients, in one go or by gradient caching.

Gradient caching (Gao et al. 2021, Scaling Deep Contrastive Learning Batch Size under Memory Limited
Setup) trains with large batches on little memory. The towers encode a batch piece by piece and keep
only the encodings; the heads and losses see these joined and say how they should change; then the
towers encode each piece again, with the same noise, and its backward pass begins from there. The
gradient is that of the whole batch, for one more forward pass.

Memory, for batches of B pairs in pieces of C: the towers' activations of C pairs; the encodings of
B pairs (of the released model 0.07 MB a pair, mostly its assignments); the activations of the heads
and the similarities of B pairs.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from groupvit.data.batch import Batch
from groupvit.distributed import Ranks
from groupvit.training.config import ObjectiveConfig
from groupvit.training.group_usage import GroupUsage, group_usage
from groupvit.training.losses import accuracy
from groupvit.training.objective import objective
from groupvit.training.towers import Encoded, Projected, join


class StepResult(NamedTuple):
    """What a step tells, as this rank sees it; `Ranks.mean` makes it that of the joint batch."""

    losses: dict[str, Float[Tensor, ""]]
    """The parts of the objective by name, and their weighted sum as total; without gradient."""
    accuracy: Float[Tensor, ""]
    """Share of images whose own caption is nearest in the joint batch."""
    group_usage: GroupUsage
    """How the groups are used."""


def forward_backward(
    towers: nn.Module,
    heads: nn.Module,
    images: Float[Tensor, "batch 3 height width"],
    batch: Batch,
    config: ObjectiveConfig,
    ranks: Ranks,
    *,
    chunk: int | None,
    autocast: torch.dtype | None,
) -> StepResult:
    """Add the gradient of the joint batch to that of the parameters.

    Args:
        towers: `Towers`, as `ranks.wrap` returns them.
        heads: `Heads`, likewise.
        images: Augmented and normalized.
        batch: The texts of the images.
        config: Which losses.
        ranks: Who else has rows of the joint batch.
        chunk: Pairs that go through the towers at once; None: all of them, without a second pass.
        autocast: bfloat16, for towers and projectors; None leaves them in their own precision.
            Normalization, similarities and losses stay in float32.
    """

    def mixed() -> torch.autocast:
        return torch.autocast(images.device.type, autocast, enabled=autocast is not None)

    def encode(piece: slice) -> Encoded:
        with mixed():
            encoded: Encoded = towers(images[piece], batch.tokens[piece])
        return encoded

    def judge(encoded: Encoded) -> StepResult:
        with mixed():
            projected: Projected = heads(encoded)
        total, parts = objective(projected, batch, config, ranks)
        torch.autograd.backward(total)
        return StepResult(
            {name: loss.detach() for name, loss in (parts | {"total": total}).items()},
            accuracy(projected.image, projected.text[:, 0], gather=ranks.gather, rank=ranks.rank),
            group_usage(encoded.assignments),
        )

    if chunk is None:
        return judge(encode(slice(None)))
    pieces = [slice(start, start + chunk) for start in range(0, len(images), chunk)]
    return _cached(towers, encode, judge, pieces, images.device)


def _cached(
    towers: nn.Module,
    encode: Callable[[slice], Encoded],
    judge: Callable[[Encoded], StepResult],
    pieces: list[slice],
    device: torch.device,
) -> StepResult:
    """Encode in pieces, judge the whole, and encode again to carry its gradient back."""
    states, parts = [], []
    for piece in pieces:
        states.append(_random_state(device))
        # Not without a graph: attention then takes other kernels, whose encodings differ enough in
        # bfloat16 on a CPU to move the gradient by an eighth of its length.
        with _unshared(towers):
            parts.append(_detached(encode(piece)))
    whole = join(parts)
    leaves = [tensor.requires_grad_() for tensor in whole.tensors()]
    result = judge(whole)
    for piece, state in zip(pieces, states, strict=True):
        _restore(state, device)
        with nullcontext() if piece is pieces[-1] else _unshared(towers):
            _backward(encode(piece).tensors(), leaves, piece)
    return result


def _detached(encoded: Encoded) -> Encoded:
    """The encodings alone; what a backward pass would need is let go."""
    return Encoded(
        encoded.pooled.detach(),
        encoded.segments.detach(),
        tuple(assignment.detach() for assignment in encoded.assignments),
        encoded.text.detach(),
        None if encoded.tokens is None else encoded.tokens.detach(),
        tuple(segments.detach() for segments in encoded.earlier),
    )


def _backward(encoded: list[Tensor], leaves: list[Tensor], piece: slice) -> None:
    """Carry the gradient of a piece from the joined encodings into the towers."""
    wanted = [
        (tensor, leaf.grad[piece])
        for tensor, leaf in zip(encoded, leaves, strict=True)
        if leaf.grad is not None and tensor.requires_grad
    ]
    tensors, grads = zip(*wanted, strict=True)
    torch.autograd.backward(tensors, grads)


def _unshared(module: nn.Module) -> AbstractContextManager[None]:
    """Keeps gradients to this rank until a later backward pass sends all of them."""
    if isinstance(module, DistributedDataParallel):
        return module.no_sync()
    return nullcontext()


def _random_state(device: torch.device) -> tuple[Tensor, ...]:
    """Where the generators stand that noise comes from: the CPU's, and the device's own."""
    if device.type == "cpu":
        return (torch.get_rng_state(),)
    return torch.get_rng_state(), torch.get_device_module(device.type).get_rng_state()


def _restore(state: tuple[Tensor, ...], device: torch.device) -> None:
    torch.set_rng_state(state[0])
    for own in state[1:]:
        torch.get_device_module(device.type).set_rng_state(own)
