"""Manifest of a run over many images: all that its results depend on, so that it can be resumed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import PIL
import torch

from groupvit.config import flat
from groupvit.errors import InputError
from groupvit.segmentation.network import fingerprint
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background
from groupvit.text.prompts import BACKGROUND
from groupvit.values import parse_json
from groupvit.version import VERSION

FORMAT = "groupvit-manifest-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Settings and inputs of a run."""

    settings: Mapping[str, Any]
    """Model, labels, protocol, versions and kinds of output, as JSON holds them."""
    inputs: Mapping[str, str]
    """ETag, or size and time, of each shard or image, by its name."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels; a background comes first."""
        return tuple(self.settings["labels"])

    def resumed(self, before: "Manifest", where: str) -> "Manifest":
        """Manifest of the run that `before` began, with the inputs that are new since.

        Args:
            before: Manifest of the results that exist.
            where: Folder of the results, for messages.

        Raises:
            InputError: A setting differs, or an input was changed.
        """
        old, new = flat(before.settings), flat(self.settings)
        for name in old | new:
            if old.get(name) != new.get(name):
                raise InputError(
                    f"{where} holds results of another run: {name} was {old.get(name)!r:.80} and "
                    f"is {new.get(name)!r:.80} now; choose another --out"
                )
        for name, state in self.inputs.items():
            if before.inputs.get(name, state) != state:
                raise InputError(
                    f"{name} was changed since the run in {where} began; choose another --out"
                )
        return replace(self, inputs={**before.inputs, **self.inputs})

    def to_text(self) -> str:
        """The manifest as JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False, indent=1)


def from_text(text: str, where: str) -> Manifest:
    """Manifest of a JSON text.

    Raises:
        InputError: The text is none.
    """
    try:
        values = parse_json(text)
        if values.pop("format") == FORMAT and isinstance(values["settings"]["labels"], list):
            return Manifest(**values)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise InputError(f"{where} was not written by groupvit segment; choose another folder")


def settings_of(
    segmenter: Segmenter,
    labels: Sequence[str],
    *,
    background: Background | None,
    top_labels: int | Literal["all"] | None,
    output: Sequence[str],
) -> dict[str, Any]:
    """Settings of a run, as JSON holds them.

    Args:
        segmenter: Model.
        labels: Labels as they were given; none, if images are only grouped.
        background: Thresholds and words of the background.
        top_labels: See `Segmenter.__call__`.
        output: Kinds of output.
    """
    parsed = segmenter.parse(labels, background) if labels else None
    names = () if parsed is None else parsed.names
    settings = {
        "labels": names if background is None else (BACKGROUND, *names),
        "words": None if parsed is None else asdict(parsed),
        "background": None if background is None else asdict(background),
        "top_labels": top_labels,
        "model": fingerprint(segmenter.network),
        # Settings for single benchmarks do not apply to images of users.
        "protocol": asdict(replace(segmenter.protocol, benchmarks={})),
        "dtype": str(segmenter.dtype),
        "output": output,
        "versions": {"groupvit": VERSION, "torch": torch.__version__, "pillow": PIL.__version__},
    }
    values: dict[str, Any] = parse_json(json.dumps(settings))
    return values
