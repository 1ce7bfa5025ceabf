"""Names of our parameters in other layouts: the original release and Hugging Face.

The table `names.txt` has a row for every kind of parameter: our name, the original's, Hugging
Face's. `#` stands for a number, `*` for the last word; `{q|k|v}` means that our tensor is cut
along its first axis into the tensors of these names; `-` that the layout has no place for it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import NamedTuple

import torch
from torch import Tensor

from groupvit.errors import InputError, listed

_HOLES = re.compile(r"#|\*")


@cache
def _table() -> list[list[str]]:
    text = files("groupvit.weights").joinpath("names.txt").read_text(encoding="utf-8")
    return [line.split() for line in text.splitlines() if not line.startswith("#")]


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = {"#": r"(\d+)", "*": r"(\w+)"}
    return re.compile(re.sub(r"\\?[#*]", lambda hole: parts[hole[0][-1]], re.escape(template)))


def _fill(template: str, words: tuple[str, ...]) -> str:
    rest = iter(words)
    return _HOLES.sub(lambda _: next(rest), template)


def _cut(template: str) -> list[str]:
    """`a{q|k|v}b` as its three names; any other template as itself."""
    before, brace, rest = template.partition("{")
    if not brace:
        return [template]
    choices, _, after = rest.partition("}")
    return [before + choice + after for choice in choices.split("|")]


class Place(NamedTuple):
    """Place of a tensor of a foreign file: a part of one of our tensors."""

    name: str
    part: int
    num_parts: int


@dataclass(frozen=True)
class Layout:
    """One foreign way to name the parameters."""

    title: str
    column: int
    """Column of the table."""
    ignored: frozenset[str] = frozenset()
    """Names without content, which old files carry."""
    convolutional: bool = False
    """True if the projectors are stored as convolutions of width 1."""

    @cached_property
    def _rules(self) -> list[tuple[re.Pattern[str], str, int, int]]:
        return [
            (_pattern(template), row[0], part, len(templates))
            for row in _table()
            if row[self.column] != "-"
            for templates in [_cut(row[self.column])]
            for part, template in enumerate(templates)
        ]

    def place(self, foreign: str) -> Place | None:
        """Place of the tensor of this foreign name; None for an unknown name."""
        for pattern, ours, part, num_parts in self._rules:
            match = pattern.fullmatch(foreign)
            if match:
                return Place(_fill(ours, match.groups()), part, num_parts)
        return None

    def foreign(self, name: str) -> list[str]:
        """Names in this layout of the parts of our tensor, in order; empty if it has no place."""
        for row in _table():
            match = _pattern(row[0]).fullmatch(name)
            if match and row[self.column] != "-":
                return [_fill(template, match.groups()) for template in _cut(row[self.column])]
        return []

    def to_ours(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Foreign tensors under our names.

        Raises:
            InputError: A name is none of this layout's, or a part of a tensor is missing.
        """
        parts: dict[str, dict[int, Tensor]] = {}
        left_over, missing = [], []
        for foreign, tensor in tensors.items():
            place = self.place(foreign)
            if place:
                parts.setdefault(place.name, {})[place.part] = tensor
            elif foreign not in self.ignored:
                left_over.append(foreign)
        for name, found in parts.items():
            missing += [f for i, f in enumerate(self.foreign(name)) if i not in found]
        check_names(missing, left_over)
        return {
            name: self._shaped(name, _joined(found), to_ours=True) for name, found in parts.items()
        }

    def from_ours(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our tensors under this layout's names; what it has no place for is left out."""
        return dict(self._entries(tensors))

    def _entries(self, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        for name, tensor in tensors.items():
            names = self.foreign(name)
            if names:
                shaped = self._shaped(name, tensor, to_ours=False)
                pieces = [shaped] if len(names) == 1 else shaped.chunk(len(names))
                yield from zip(names, pieces, strict=True)

    def _shaped(self, name: str, tensor: Tensor, *, to_ours: bool) -> Tensor:
        if not self.convolutional or not re.fullmatch(r"\w+_projector\.fc\d\.weight", name):
            return tensor
        return tensor.squeeze(-1) if to_ours else tensor.unsqueeze(-1)


def _joined(parts: Mapping[int, Tensor]) -> Tensor:
    if len(parts) == 1:
        return parts[0]
    try:
        return torch.cat([parts[index] for index in sorted(parts)])
    except (RuntimeError, TypeError) as error:
        shapes = ", ".join(str(tuple(part.shape)) for part in parts.values())
        raise InputError(f"parts of one tensor do not fit each other: {shapes}") from error


def check_names(missing: list[str], left_over: list[str]) -> None:
    """Raise a message that lists both, or the first of many, unless both are empty."""
    if not missing and not left_over:
        return
    parts = [
        f"{what}: {listed(sorted(names))}"
        for what, names in (("missing", missing), ("left over", left_over))
        if names
    ]
    raise InputError(f"the tensors do not make a GroupViT; {'; '.join(parts)}")


ORIGINAL = Layout("original", 1, convolutional=True)
HUGGING_FACE = Layout(
    "Hugging Face",
    2,
    ignored=frozenset(
        {"text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"}
    ),
)
