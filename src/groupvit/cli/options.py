"""Options that several commands share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from rich.console import Console

    from groupvit.segmentation.segmenter import Segmenter
    from groupvit.weights.checkpoint import Origin

Words = Annotated[tuple[str, ...], tyro.conf.arg(metavar="WORD [WORD ...]")]
Images = tyro.conf.Positional[
    Annotated[tuple[str, ...], tyro.conf.arg(metavar="IMAGE [IMAGE ...]")]
]
Flag = tyro.conf.FlagCreatePairsOff[bool]


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model, and how it looks at images."""

    model: str
    """A bundled name (storybook, random), a folder, a training run, a file of weights, or a hub id
    such as nvidia/groupvit-gcc-yfcc."""
    revision: str | None = None
    """Branch, tag or commit of a model on the hub."""
    protocol: Literal["ours", "groupvit", "tcl", "sclip"] = "ours"
    """How images are resized, cut and scored: for people's images, as published, or as others
    measure."""
    short_side: int | None = None
    """Length that the shorter side is resized to [pixels], instead of the protocol's."""
    window: int | None = None
    """Side of sliding windows [pixels], instead of the protocol's."""
    stride: int | None = None
    """Step between windows [pixels], instead of half a window."""
    naming: Literal["segments", "levels"] | None = None
    """What takes the words, instead of what the model asks for: the last segments, or every patch
    by what it and its segments at all levels say."""
    refine: Flag = False
    """Move borders of labels and groups to where the colors of the image change (PAMR); takes
    longer."""
    templates: str | None = None
    """Sentences that words are put into: simple, subset (7), full (80), or a text file with one
    per line."""
    device: str = "auto"
    """Where to compute: auto, cpu, cuda, cuda:1, mps."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 is faster where the processor has it."""
    batch_size: int = 8
    """Windows that go through the network at once."""
    runtime: Literal["onnxruntime", "openvino"] | None = None
    """What computes a model that groupvit export wrote; onnxruntime, unless openvino is chosen."""

    def segmenter(self, *, benchmark: str = "", device: str | None = None) -> "Segmenter":
        """Load the model.

        Args:
            benchmark: Key of what is measured, for which a protocol may have a size of its own.
            device: Where to compute instead.
        """
        from dataclasses import replace

        from groupvit.segmentation.protocol import named
        from groupvit.segmentation.refinement import Refinement
        from groupvit.segmentation.segmenter import Segmenter
        from groupvit.text.templates import load_templates

        changes: dict[str, object] = {}
        if self.short_side is not None:
            changes["short_side"] = self.short_side
        if self.window is not None:
            changes |= {"window": self.window, "stride": max(1, self.window // 2)}
        if self.stride is not None:
            changes["stride"] = self.stride
        if self.naming is not None:
            changes["naming"] = self.naming
        if self.refine:
            changes["refinement"] = Refinement()
        if self.templates is not None:
            changes["templates"] = load_templates(self.templates)
        return Segmenter.load(
            self.model,
            revision=self.revision,
            protocol=replace(named(self.protocol).on(benchmark), **changes),  # type: ignore[arg-type]
            device=device or self.device,
            dtype=self.dtype,
            batch_size=self.batch_size,
            runtime=self.runtime,
        )


def warn_if_untrained(console: "Console", origin: "Origin | None") -> None:
    """Say that what comes has no meaning, if weights were never trained."""
    if origin and not origin.trained:
        console.print("[yellow]this model is untrained: what it finds means nothing[/]")
