"""Data-parallel processes (ranks): setup, reductions, and gathering with gradients.

With a single process every operation here is the identity, and no process group is started.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from groupvit.devices import usable
from groupvit.errors import InputError

CPU = torch.device("cpu")
LONGEST_WAIT = timedelta(days=7)
"""Longest wait at a barrier, where other groups give up after 10 (NCCL) or 30 minutes (gloo)."""
Value = TypeVar("Value")


class _Gather(torch.autograd.Function):
    """Rows of all ranks; the gradient of a rank's rows is the sum of those of all ranks.

    `torch.distributed.nn.functional.all_gather` gives the same values and gradients, but is
    deprecated since torch 2.13 in favor of a private module.
    """

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


def gather_rows(x: Shaped[Tensor, "row ..."]) -> Shaped[Tensor, "all_rows ..."]:
    """Rows of all ranks of a process group, those of rank 0 first, with gradients to every rank."""
    gathered: Tensor = _Gather.apply(x)  # type: ignore[no-untyped-call]
    return gathered


@dataclass(frozen=True, slots=True)
class Ranks:
    """One of the processes that train together, and its communication with the others.

    All ranks must call the same methods in the same order; otherwise they wait for each other
    forever.
    """

    rank: int = 0
    """Index of this process."""
    local_rank: int = 0
    """Index of this process among those of its machine."""
    world_size: int = 1
    """Number of processes on all machines."""
    device: torch.device = CPU
    """Device of this process."""
    waiting: dist.ProcessGroup | None = None
    """Group of `barrier`, which waits for `LONGEST_WAIT`; None: a single process."""

    @property
    def is_main(self) -> bool:
        """True on rank 0, which alone writes files and logs."""
        return self.rank == 0

    def gather(self, x: Shaped[Tensor, "row ..."]) -> Shaped[Tensor, "all_rows ..."]:
        """Rows of all ranks, those of rank 0 first; gradients flow back to every rank.

        Every rank gives the same number of rows. The gradient is the sum over the losses of all
        ranks; divided by their number, as `DistributedDataParallel` divides the gradients of
        parameters, it is that of the mean loss.
        """
        return x if self.world_size == 1 else gather_rows(x)

    def sum(self, values: Shaped[Tensor, "*axes"]) -> Shaped[Tensor, "*axes"]:
        """Sum of the values over ranks, without gradient, on the device."""
        total = values.detach().to(self.device, copy=True)
        if self.world_size > 1:
            dist.all_reduce(total)
        return total

    def mean(self, values: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        """Mean of the values over ranks, without gradient, on the device."""
        return self.sum(values) / self.world_size

    def any(self, flag: bool) -> bool:  # noqa: FBT001 - the only argument
        """True if the flag is set on any rank."""
        return bool(self.sum(torch.tensor(int(flag), device=self.device)))

    def gather_objects(self, value: Value) -> list[Value]:
        """Values of all ranks, that of rank 0 first; for few and small objects."""
        if self.world_size == 1:
            return [value]
        found: list[Any] = [None] * self.world_size
        dist.all_gather_object(found, value)
        return found

    def barrier(self) -> None:
        """Wait until every rank has called this, however long one of them evaluates or indexes."""
        if self.world_size > 1:
            dist.all_reduce(torch.zeros(1), group=self.waiting)

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module with gradients averaged over ranks; itself if no parameter is trained."""
        if self.world_size == 1 or not any(p.requires_grad for p in module.parameters()):
            return module
        return DistributedDataParallel(
            module,
            device_ids=[self.device] if self.device.type == "cuda" else None,
            gradient_as_bucket_view=True,
        )


@contextmanager
def session(device: str) -> Iterator[Ranks]:
    """The ranks started by `torchrun`, or a single one; the process group ends with the context.

    Args:
        device: auto (a GPU if there is one), cpu, cuda or mps. Each rank uses the GPU of its
            local rank.

    Raises:
        InputError: This rank has no such device.
    """
    rank, world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    advice = "start at most one process for each GPU, or try cpu"
    chosen = usable(device, index=local_rank, advice=advice)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    ranks = Ranks(rank, local_rank, world_size, chosen)
    if world_size == 1:
        yield ranks
        return
    if chosen.type not in ("cpu", "cuda"):
        raise InputError(f"several processes cannot share the device {device!r}; try cpu")
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    waiting = dist.new_group(backend="gloo", timeout=LONGEST_WAIT)
    completed = False
    try:
        yield replace(ranks, waiting=waiting)
        completed = True
    finally:
        # NCCL's orderly end waits for reductions of the other ranks, which a failed rank never
        # joins; without it, its group is aborted when the process ends.
        if completed or chosen.type != "cuda":
            dist.destroy_process_group()
