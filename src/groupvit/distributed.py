"""Several processes that train as one: what a rank is, and what ranks tell each other.

One process is the case of a single rank: everything here is then the identity, and no process
group is started.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from einops import rearrange
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from groupvit.devices import usable
from groupvit.errors import InputError

CPU = torch.device("cpu")
Value = TypeVar("Value")


class _Sum(torch.autograd.Function):
    """The sum over ranks; a rank's gradient is the sum of what all ranks want of it."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].clone()
        dist.all_reduce(total)
        return total


def _sum(x: Float[Tensor, " dim"]) -> Float[Tensor, " dim"]:
    total: Tensor = _Sum.apply(x)  # type: ignore[no-untyped-call]
    return total


class _Gather(torch.autograd.Function):
    """The rows of all ranks; a rank's gradient is the sum of what all ranks want of its rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.rows = x.shape[0]
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].clone()
        dist.all_reduce(total)
        return total[ctx.rows * dist.get_rank() :][: ctx.rows]


class SyncedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the rows, or images, of all ranks, on a CPU too, which torch's own is not.

    Mean and variance are those of all rows together, and so is their gradient. The sums are taken
    in two turns, the second around the mean, so that no digits are lost.
    """

    def forward(self, x: Float[Tensor, "row dim *places"]) -> Float[Tensor, "row dim *places"]:
        """Normalize each column or channel; in evaluation by the running statistics."""
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None
        with torch.autocast(x.device.type, enabled=False):
            exact = x.to(torch.promote_types(x.dtype, self.running_mean.dtype))
            rows = rearrange(exact, "row dim ... -> (row ...) dim")
            totals = _sum(torch.cat([rows.sum(dim=0), rows.new_tensor([len(rows)])]))
            count = totals[-1].detach()
            centered = rows - totals[:-1] / count
            squares = _sum(centered.square().sum(dim=0))
            self._remember(totals[:-1].detach() / count, squares.detach() / (count - 1))
            normalized = centered * (squares / count + self.eps).rsqrt()
            if self.affine:
                normalized = normalized * self.weight + self.bias
            return normalized.view(len(x), *x.shape[2:], -1).movedim(-1, 1).to(x.dtype)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        """Rows and images alike."""

    def _remember(self, mean: Float[Tensor, " dim"], variance: Float[Tensor, " dim"]) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


@dataclass(frozen=True, slots=True)
class Ranks:
    """One process among those that train together, and what it can ask of the others.

    All ranks must ask the same things in the same order, or they wait for each other for ever.
    """

    rank: int = 0
    """Which process this is, from 0."""
    local_rank: int = 0
    """Which of those on this machine."""
    world_size: int = 1
    """How many there are on all machines."""
    device: torch.device = CPU
    """Where this process computes."""

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def gather(self, x: Shaped[Tensor, "row ..."]) -> Shaped[Tensor, "all_rows ..."]:
        """The rows of all ranks, those of rank 0 first; gradients flow back to every rank.

        Every rank gives as many rows. The gradient that arrives is the sum over the ranks'
        losses; divided by their number, as `DistributedDataParallel` does with the gradients of
        parameters, it is that of the mean loss.
        """
        if self.world_size == 1:
            return x
        gathered: Tensor = _Gather.apply(x)  # type: ignore[no-untyped-call]
        return gathered

    def sum(self, values: Shaped[Tensor, "*axes"]) -> Shaped[Tensor, "*axes"]:
        """The values added up over ranks, without gradient, on the device."""
        total = values.detach().to(self.device, copy=True)
        if self.world_size > 1:
            dist.all_reduce(total)
        return total

    def mean(self, values: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        """The mean of the values over ranks, without gradient, on the device."""
        return self.sum(values) / self.world_size

    def any(self, flag: bool) -> bool:  # noqa: FBT001 - the only argument
        """Whether the flag is up on any rank."""
        return bool(self.sum(torch.tensor(int(flag), device=self.device)))

    def gather_objects(self, value: Value) -> list[Value]:
        """What every rank gives, that of rank 0 first; for few and small things."""
        if self.world_size == 1:
            return [value]
        found: list[Any] = [None] * self.world_size
        dist.all_gather_object(found, value)
        return found

    def barrier(self) -> None:
        """Wait until all ranks are here."""
        self.any(False)  # noqa: FBT003 - its answer has waited for every rank on every backend

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module with gradients averaged over ranks; as it is if nothing in it learns."""
        learns = any(parameter.requires_grad for parameter in module.parameters())
        if self.world_size == 1 or not learns:
            return module
        return DistributedDataParallel(
            module,
            device_ids=[self.device] if self.device.type == "cuda" else None,
            gradient_as_bucket_view=True,
        )

    def synchronize_norms(self, model: nn.Module) -> None:
        """Let every `nn.BatchNorm1d` and `nn.BatchNorm2d` of the model count the rows of all ranks.

        Parameters, buffers and their names stay; call it before `wrap`.
        """
        if self.world_size == 1:
            return
        for module in list(model.modules()):
            for name, child in module.named_children():
                if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
                    setattr(module, name, synced(child))


def synced(norm: nn.modules.batchnorm._BatchNorm) -> SyncedBatchNorm:
    """A synchronized batch norm that shares the parameters and buffers of this one."""
    shared = SyncedBatchNorm(norm.num_features, norm.eps, norm.momentum, norm.affine, device="meta")
    shared._parameters = norm._parameters
    shared._buffers = norm._buffers
    return shared.train(norm.training)


@contextmanager
def session(device: str) -> Iterator[Ranks]:
    """The ranks that `torchrun` has started, or a single one; the process group ends with it.

    Args:
        device: Where to compute: auto (a GPU if there is one), cpu, cuda or mps. Each rank takes
            the GPU of its number on its machine.

    Raises:
        InputError: There is no such device for this rank.
    """
    rank, local_rank, world_size = (
        int(os.environ.get(name, default))
        for name, default in (("RANK", 0), ("LOCAL_RANK", 0), ("WORLD_SIZE", 1))
    )
    place = usable(
        device,
        index=local_rank,
        advice="start at most one process for each GPU, or try cpu",
    )
    if place.type == "cuda":
        torch.cuda.set_device(place)
    ranks = Ranks(rank, local_rank, world_size, place)
    if world_size == 1:
        yield ranks
        return
    if place.type not in ("cpu", "cuda"):
        raise InputError(f"several processes cannot share the device {device!r}; try cpu")
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield ranks
    finally:
        dist.destroy_process_group()
