"""Digest of weights, by which results that depend on them are kept between runs."""

import torch
from torch import Tensor, nn

from groupvit import cache
from groupvit.processor import read
from groupvit.version import VERSION


def digest(*modules: nn.Module, of: str) -> str:
    """Digest of all that results of these modules depend on: 32 hexadecimal digits.

    These are the weights, this package, PyTorch and the processor, which all decide the last bits.

    Args:
        modules: Parts of a model.
        of: All else that decides the results, such as the settings of the model.
    """
    processor = read()
    parts: list[str | bytes | memoryview] = [of, VERSION, torch.__version__, processor.name]
    parts.append(" ".join(sorted(processor.flags)))
    for module in modules:
        for name, values in sorted(module.state_dict().items()):
            parts += [name, str(tuple(values.shape)), raw(values)]
    return cache.digest(parts)


def raw(values: Tensor) -> memoryview:
    """Bytes of a tensor, row by row."""
    return values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
