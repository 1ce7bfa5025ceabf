"""Where to compute."""

import torch

from groupvit.errors import InputError


def on_cpu(device: str | torch.device) -> str:
    """The CPU, unless another device was asked for by name.

    Raises:
        InputError: It was.
    """
    if str(device) not in ("auto", "cpu"):
        raise InputError(f"an exported model computes on the CPU, not on {device}; try cpu")
    return "cpu"


def usable(device: str | torch.device) -> torch.device:
    """The device of this name; `auto` is a GPU if there is one.

    Raises:
        InputError: There is no such device here.
    """
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"the device {str(device)!r} cannot be used here; try cpu") from error
    return torch.device(device)
