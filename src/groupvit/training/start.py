"""Weights of a model to start from, fitted to an architecture with other sizes or parts."""

import re
from collections.abc import Mapping
from math import isqrt
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

_POSITIONS = "image_encoder.positions.weight"
_GROUPS = re.compile(
    r"image_encoder\.stages\.(\d+)\.(group_token|grouping\.mix_groups\..*|group_projector\..*)"
)
"""Tensors with an axis of group tokens or groups."""


class Fitted(NamedTuple):
    """Values for every tensor of a model that can be fitted."""

    tensors: dict[str, Tensor]
    """Values by name; tensors that do not fit are as they were given."""
    notes: list[str]
    """Sentences about all that begins fresh, was left out or changed."""


def fitted(fresh: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Fitted:
    """Fit the weights of another model to a new one.

    Parts that only one of them has, such as the background layer, begin fresh or are left out.
    Positions are stretched to another grid, bicubic. Of another number of group tokens or groups
    the first ones are taken, and the rest begins fresh.

    Args:
        fresh: Initial values of the new model.
        given: Weights of the model to start from.
    """
    new, old = _parts(fresh), _parts(given)
    tensors = {name: value for name, value in given.items() if _part(name) in new}
    tensors |= {name: value for name, value in fresh.items() if _part(name) not in old}
    notes = [f"{part} begins fresh, as the start has none" for part in sorted(new - old)]
    notes += [f"{part} of the start is left out" for part in sorted(old - new)]
    for name, target in fresh.items():
        value = tensors.get(name)
        if value is None or value.shape == target.shape or value.ndim != target.ndim:
            continue
        match = _GROUPS.fullmatch(name)
        if name == _POSITIONS and value.shape[-1] == target.shape[-1]:
            tensors[name], sizes = _stretched(value, target)
            notes.append(f"the positions are stretched {sizes} patches")
        elif match:
            tensors[name] = _overlaid(target, value)
            if match[2] == "group_token":
                taken, total = min(value.shape[1], target.shape[1]), target.shape[1]
                rest = "; the rest begins fresh" if taken < total else ""
                notes.append(
                    f"stage {int(match[1]) + 1} takes {taken} of the {value.shape[1]} group tokens "
                    f"of the start for its {total}{rest}"
                )
            else:
                notes.append(f"{name} keeps what fits; the rest begins fresh")
    return Fitted(tensors, notes)


def _part(name: str) -> str:
    return name.partition(".")[0]


def _parts(tensors: Mapping[str, Tensor]) -> set[str]:
    return set(map(_part, tensors))


def _stretched(value: Tensor, target: Tensor) -> tuple[Tensor, str]:
    """Positions on the grid of the target, and both sizes."""
    old, new = isqrt(value.shape[1]), isqrt(target.shape[1])
    learned = rearrange(value.float(), "1 (height width) dim -> 1 dim height width", height=old)
    wider = F.interpolate(learned, (new, new), mode="bicubic", align_corners=False)
    flat = rearrange(wider, "1 dim height width -> 1 (height width) dim")
    return flat, f"from {old} x {old} to {new} x {new}"


def _overlaid(target: Tensor, value: Tensor) -> Tensor:
    """The target with the values in their common block, from the first index of each axis."""
    block = tuple(slice(min(sizes)) for sizes in zip(value.shape, target.shape, strict=True))
    result = target.detach().clone()
    with torch.no_grad():
        result[block] = value[block].to(result.dtype)
    return result
