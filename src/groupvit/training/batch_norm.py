"""Batch norm over the rows of all ranks, on CPUs too (`torch.nn.SyncBatchNorm` needs GPUs)."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from groupvit.distributed import Ranks, gather_rows


class SyncedBatchNorm(_BatchNorm):
    """Batch norm over the rows, or the pixels of the images, of all ranks.

    Mean and variance are those of all rows together, and so are the gradients. They are computed in
    two passes, the second around the mean, so that no digits are lost.
    """

    def forward(self, x: Float[Tensor, "row dim *places"]) -> Float[Tensor, "row dim *places"]:
        """Normalize each column or channel; in evaluation by the running statistics."""
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None
        with torch.autocast(x.device.type, enabled=False):
            exact = x.to(torch.promote_types(x.dtype, self.running_mean.dtype))
            rows = rearrange(exact, "row dim ... -> (row ...) dim")
            totals = _sum_over_ranks(torch.cat([rows.sum(dim=0), rows.new_tensor([len(rows)])]))
            count = totals[-1].detach()
            centered = rows - totals[:-1] / count
            squares = _sum_over_ranks(centered.square().sum(dim=0))
            self._track(totals[:-1].detach() / count, squares.detach() / (count - 1))
            normalized = centered * (squares / count + self.eps).rsqrt()
            if self.affine:
                normalized = normalized * self.weight + self.bias
            return normalized.view(len(x), *x.shape[2:], -1).movedim(-1, 1).to(x.dtype)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        """Accept rows and images."""

    def _track(self, mean: Float[Tensor, " dim"], variance: Float[Tensor, " dim"]) -> None:
        """Update the running statistics."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def _sum_over_ranks(x: Float[Tensor, " dim"]) -> Float[Tensor, " dim"]:
    return gather_rows(x[None]).sum(dim=0)


def synced(norm: _BatchNorm) -> SyncedBatchNorm:
    """A synchronized batch norm that shares the parameters and buffers of this one."""
    shared = SyncedBatchNorm(norm.num_features, norm.eps, norm.momentum, norm.affine, device="meta")
    shared._parameters = norm._parameters
    shared._buffers = norm._buffers
    return shared.train(norm.training)


def synchronize(model: nn.Module, ranks: Ranks) -> None:
    """Replace every `nn.BatchNorm1d` and `nn.BatchNorm2d` by one over the rows of all ranks.

    Parameters, buffers and their names stay; call it before `Ranks.wrap`. With one rank the model
    stays as it is.
    """
    if ranks.world_size == 1:
        return
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
                setattr(module, name, synced(child))
