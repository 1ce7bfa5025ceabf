"""Devices to compute on."""

import torch

from groupvit.errors import InputError


def usable(
    device: str | torch.device, *, index: int | None = None, advice: str = "try cpu"
) -> torch.device:
    """Device of this name; `auto` is a GPU if there is one, else the CPU.

    Args:
        device: Name, such as `auto`, `cpu`, `cuda` or `cuda:1`.
        index: GPU that `cuda` without a number means; None: the current one.
        advice: Way out that the error message names.

    Raises:
        InputError: The device does not exist or cannot be used.
    """
    name = str(device)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and index is not None:
        name = f"cuda:{index}"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"the device {name!r} cannot be used here; {advice}") from error
    return torch.device(name)
