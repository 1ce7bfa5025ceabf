"""Options that several commands share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from groupvit.config import shown_default
from groupvit.errors import InputError
from groupvit.weights.packaged import DEFAULT

if TYPE_CHECKING:
    from groupvit.segmentation.segmenter import Segmenter

Words = Annotated[
    tuple[str, ...],
    tyro.conf.arg(metavar="WORD [WORD ...]", help_behavior_hint=shown_default),
]
Images = tyro.conf.Positional[
    Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="IMAGE [IMAGE ...]", help_behavior_hint="(required)")
    ]
]
Flag = tyro.conf.FlagCreatePairsOff[bool]


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Model and image settings."""

    model: str = DEFAULT
    """Bundled name (photos for photographs, storybook for drawn scenes, random), folder, training
    run, weights file, or hub id such as nvidia/groupvit-gcc-yfcc."""
    revision: str | None = None
    """Branch, tag or commit of a model on the hub."""
    protocol: Literal["ours", "quick", "groupvit", "tcl", "sclip"] = "ours"
    """Settings of resizing, windows and scoring: ours, for images of users; quick, the same at one
    size and without refinement; groupvit, as published; tcl and sclip, as in other papers."""
    short_side: int | None = None
    """Length that the shorter side is resized to [pixels]; default: that of the protocol."""
    window: int | None = None
    """Side of sliding windows [pixels]; default: that of the protocol."""
    stride: int | None = None
    """Step between windows [pixels]; default: half a window."""
    naming: Literal["segments", "levels", "parts"] | None = None
    """Embeddings that are compared with labels: segments of the last stage; patches, averaged with
    their segments at all levels; or patches, whose scores are averaged in each group; default: as
    the model is set."""
    refine: Flag = False
    """Move borders of labels and groups to where the colors of the image change (PAMR); slower."""
    no_refine: Flag = False
    """Leave borders as they are, also for a model that is set to refine them."""
    no_expand: Flag = False
    """Take labels as they are: add no words of the lexicon, such as man and woman to person."""
    templates: str | None = None
    """Prompt templates: simple (1), subset (7), full (80), or a text file with one per line."""
    device: str = "auto"
    """Device to compute on: auto, cpu, cuda, cuda:1, mps."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 is faster on hardware that supports it."""
    batch_size: int = 8
    """Number of windows in a batch."""
    runtime: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto"
    """Runtime of the encoders. auto: OpenVINO where it is installed and computes the same, which it
    compiles once for each model; else PyTorch. onnxruntime: for exported models."""

    def segmenter(self, *, benchmark: str = "", device: str | None = None) -> "Segmenter":
        """Load the model.

        Args:
            benchmark: Key of a benchmark; the protocol may have an image size for it.
            device: Device, instead of `self.device`.

        Raises:
            InputError: An option has no effect, or the model cannot be loaded.
        """
        from dataclasses import replace

        from groupvit.segmentation.protocol import named
        from groupvit.segmentation.refinement import Refinement
        from groupvit.segmentation.segmenter import Segmenter
        from groupvit.text.templates import load_templates

        protocol = named(self.protocol).resized_for(benchmark)
        if self.stride is not None and self.window is None and protocol.window is None:
            raise InputError(
                f"--stride is {self.stride}, the step between windows, but there are none; give "
                "--window too"
            )
        changes: dict[str, object] = {}
        if self.short_side is not None:
            changes["short_side"] = self.short_side
        if self.window is not None:
            changes |= {"window": self.window, "stride": max(1, self.window // 2)}
        if self.stride is not None:
            changes["stride"] = self.stride
        if self.naming is not None:
            changes["naming"] = self.naming
        if self.refine and self.no_refine:
            raise InputError("--refine and --no-refine exclude each other; give one of them")
        if self.refine or self.no_refine:
            changes["refinement"] = Refinement() if self.refine else None
        if self.no_expand:
            changes["lexicon"] = False
        if self.templates is not None:
            changes["templates"] = load_templates(self.templates)
        return Segmenter.load(
            self.model,
            revision=self.revision,
            protocol=replace(protocol, **changes),  # type: ignore[arg-type]
            device=device or self.device,
            dtype=self.dtype,
            batch_size=self.batch_size,
            runtime=self.runtime,
        )
