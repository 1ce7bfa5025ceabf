"""Copies of a model whose matrices have the dtype of autocast."""

import copy

import torch
from torch import nn

from groupvit.model.groupvit import GroupViT


def with_matrices_in(model: GroupViT, dtype: torch.dtype) -> GroupViT:
    """A copy to compute with under autocast, whose matrices are of its type already.

    Autocast converts them anew for every batch, which counts most where a batch is a single
    image. What it computes is the same, bit for bit. All other tensors are those of the model,
    not copies.

    Args:
        model: It is not changed.
        dtype: Dtype of autocast.
    """
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    network = copy.deepcopy(model, shared)
    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            for name, tensor in list(module.named_parameters(recurse=False)):
                converted = nn.Parameter(tensor.detach().to(dtype), requires_grad=False)
                setattr(module, name, converted)
    return network
